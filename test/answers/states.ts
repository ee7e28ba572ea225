import { lstatSync, readdirSync } from 'node:fs';
import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { Descriptors } from '../damage/child/descriptors.ts';
import type { World } from '../damage/child/world.ts';

/** What a builder and its parts may be in when they are called. */
export interface State {
  /** @returns What ends it. */
  readonly begin: (scene: Scene) => Promise<() => Promise<unknown>>;
  /** Whether calls come with a signal that was aborted before. */
  readonly isAborted?: boolean;
}

export interface Scene {
  readonly world: World;
  /** The mounted disk that everything is on. */
  readonly disk: string;
}

/** Taken away, with a file in its place: of what is this deep below the disk. */
const DEPTH = 2;

const NOBODY = 65_534;

const FIXED: Readonly<Record<string, State>> = {
  well: { begin: async () => async () => {} },
  closed: {
    begin: async ({ world }) => {
      await world.close();
      return async () => {};
    },
  },
  aborted: { isAborted: true, begin: async () => async () => {} },
  'disk full': { begin: ({ disk }) => fill(disk) },
  'disk read-only': { begin: ({ disk }) => readOnly(disk) },
  'disk immutable': { begin: ({ disk }) => attributed(disk) },
  'no permission': { begin: forbidden },
  'no descriptor left': { begin: async () => descriptors(0) },
  '3 descriptors left': { begin: async () => descriptors(3) },
  '12 descriptors left': { begin: async () => descriptors(12) },
};

/** The state of that name; `a file for PATH` is one as well. */
export function stateOf(name: string): State {
  const path = /^a file for (.*)$/.exec(name)?.[1];
  const state = path === undefined ? FIXED[name] : { begin: ({ disk }: Scene) => replaced(join(disk, path)) };
  if (state === undefined) throw new Error(`there is no state "${name}"`);
  return state;
}

/** @param disk - With a builder that has saved something. */
export function stateNames(disk: string): readonly string[] {
  return [...Object.keys(FIXED), ...directoriesOf(disk).map((path) => `a file for ${path}`)];
}

/** Those that hold what is saved hold too many. */
function directoriesOf(disk: string, path = '', depth = DEPTH): readonly string[] {
  if (depth === 0) return [];
  return readdirSync(join(disk, path))
    .map((name) => join(path, name))
    .filter((below) => !/lost\+found|[0-9a-f]{32}/.test(below) && lstatSync(join(disk, below)).isDirectory())
    .flatMap((below) => [below, ...directoriesOf(disk, below, depth - 1)]);
}

async function replaced(path: string): Promise<() => Promise<unknown>> {
  const away = `${path}.away`;
  // What has something mounted in it cannot be moved.
  const isMoved = await rename(path, away).then(
    () => true,
    () => false,
  );
  if (!isMoved) return async () => {};
  await writeFile(path, 'not a directory\n');
  return async () => {
    await rm(path, { recursive: true });
    await rename(away, path);
  };
}

async function fill(disk: string): Promise<() => Promise<unknown>> {
  const path = join(disk, 'filling');
  for (const size of ['1M', '4k']) {
    const args = ['if=/dev/zero', `of=${path}`, `bs=${size}`, 'oflag=append', 'conv=notrunc'];
    await execa('dd', args, { reject: false });
    await execa('sync', ['--file-system', disk]);
  }
  return () => rm(path);
}

/** By a second mount over the first, since the first is busy: files of it are open. */
async function readOnly(disk: string): Promise<() => Promise<unknown>> {
  await execa('mount', ['--bind', disk, disk]);
  await execa('mount', ['-o', 'remount,bind,ro', disk]);
  return () => execa('umount', ['--lazy', disk]);
}

async function attributed(disk: string): Promise<() => Promise<unknown>> {
  const change = (how: string) => execa('chattr', ['-R', how, disk], { reject: false });
  await change('+i');
  return () => change('-i');
}

/** Of all that root owns and keeps to itself, and of all that only root may do. */
async function forbidden(): Promise<() => Promise<unknown>> {
  process.seteuid?.(NOBODY);
  return async () => process.seteuid?.(0);
}

async function descriptors(count: number): Promise<() => Promise<unknown>> {
  const taken = new Descriptors();
  taken.leave(count);
  return async () => taken.release();
}
