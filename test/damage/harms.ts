import { cp, mkdir, open, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { execa } from 'execa';

/** What is done to a file or a directory. */
export interface Harm {
  readonly name: string;
  readonly to: 'file' | 'directory';
  /** Whether it is what a disk does by itself: what can be done without must then be done without. */
  readonly isOrdinary: boolean;
  /** Whether the old one is put aside first, so that something else, or nothing, can take its place. */
  readonly replaces: boolean;
  readonly do: (path: string, scene: Scene) => Promise<unknown>;
}

interface Scene {
  readonly random: () => number;
  /** A directory that is not ours, where links lead to. */
  readonly elsewhere: string;
  /** Another file of the same kind. */
  readonly sibling: string | undefined;
}

const damage = { to: 'file', isOrdinary: true, replaces: false } as const;
const odd = { to: 'file', isOrdinary: false, replaces: true } as const;
const oddDirectory = { to: 'directory', isOrdinary: false, replaces: true } as const;
const HUGE = 3 * 1024 ** 3;

export const HARMS: readonly Harm[] = [
  { ...damage, name: 'empty', do: (path) => truncate(path, 0) },
  { ...damage, name: 'half', do: halve },
  { ...damage, name: 'garbled', do: (path, { random }) => change(path, (bytes) => garble(bytes, random)) },
  { ...damage, name: 'zeroed', do: (path) => change(path, (bytes) => bytes.fill(0)) },
  { ...damage, name: 'flipped', do: (path, { random }) => change(path, (bytes) => flip(bytes, random)) },
  { ...damage, name: 'missing', replaces: true, do: async () => {} },
  { ...odd, name: 'another', replaces: false, do: takeSibling },
  { ...odd, name: 'huge', replaces: false, do: (path) => truncate(path, HUGE) },
  { ...odd, name: 'directory', do: (path) => mkdir(join(path, 'inner'), { recursive: true }) },
  { ...odd, name: 'link', do: (path, { elsewhere }) => symlink(join(elsewhere, 'precious'), path) },
  { ...odd, name: 'dangling', do: (path) => symlink('/nowhere/at/all', path) },
  { ...odd, name: 'loop', do: (path) => symlink(path, path) },
  { ...odd, name: 'pipe', do: (path) => execa('mkfifo', [path]) },
  { ...odd, name: 'immutable', replaces: false, do: (path) => execa('chattr', ['+i', path]) },
  { ...oddDirectory, name: 'missing', isOrdinary: true, do: async () => {} },
  { ...oddDirectory, name: 'emptied', isOrdinary: true, do: (path) => mkdir(path, { mode: 0o700 }) },
  { ...oddDirectory, name: 'file', do: (path) => writeFile(path, 'in the way\n') },
  { ...oddDirectory, name: 'link', do: (path, { elsewhere }) => symlink(elsewhere, path) },
  { ...oddDirectory, name: 'dangling', do: (path) => symlink('/nowhere/at/all', path) },
  { ...oddDirectory, name: 'pipe', do: (path) => execa('mkfifo', [path]) },
  { ...oddDirectory, name: 'immutable', replaces: false, do: (path) => execa('chattr', ['+i', path]) },
  { ...oddDirectory, name: 'strangers', replaces: false, do: addStrangers },
];

/** What can be put back when its harm is over. */
export class Harmed {
  readonly path: string;
  readonly #aside: string;
  readonly #harm: Harm;

  private constructor(path: string, { aside, harm }: { readonly aside: string; readonly harm: Harm }) {
    this.path = path;
    this.#aside = aside;
    this.#harm = harm;
  }

  /**
   * @param disk - Where the old one is kept.
   * @returns Undefined where nobody could do that: it lies on what is mounted read-only.
   */
  static async do(
    harm: Harm,
    { path, disk, ...scene }: Scene & { readonly path: string; readonly disk: string },
  ): Promise<Harmed | undefined> {
    const aside = join(disk, 'aside');
    await makeWritable(path, disk);
    try {
      if (harm.replaces) await move(path, aside);
      else if (harm.to === 'file') await cp(path, aside, { preserveTimestamps: true });
      await harm.do(path, scene);
    } catch (error) {
      if (`${error}`.match(/EROFS|Read-only file system/)) return undefined;
      throw error;
    }
    return new Harmed(path, { aside, harm });
  }

  /** Nothing may have it open. */
  async undo(): Promise<void> {
    const { path } = this;
    await execa('chattr', ['-i', path], { reject: false });
    if (this.#harm.name === 'strangers') return;
    if (!this.#harm.replaces && this.#harm.to === 'directory') return;
    // The log of a database belongs to the file that was there meanwhile.
    for (const suffix of ['', '-wal', '-shm']) await rm(path + suffix, { recursive: true, force: true });
    await mkdir(dirname(path), { recursive: true });
    await move(this.#aside, path);
  }
}

/** Between the disk and what is mounted on it as well. */
async function move(from: string, to: string): Promise<void> {
  await execa('mv', ['--no-target-directory', '--', from, to]);
}

/** A saved snapshot on Btrfs is read-only until somebody says otherwise. */
async function makeWritable(path: string, disk: string): Promise<void> {
  for (let at = path; at !== disk; at = dirname(at))
    await execa('btrfs', ['property', 'set', '-f', '-ts', at, 'ro', 'false'], { reject: false });
}

async function halve(path: string): Promise<void> {
  const { length } = await readFile(path);
  await truncate(path, Math.floor(length / 2));
}

/** Writes into the file that is there, as a program that has it open will see. */
async function change(path: string, how: (bytes: Buffer) => Buffer): Promise<void> {
  await using file = await open(path, 'r+');
  const bytes = await file.readFile();
  await file.write(how(bytes), 0, bytes.length, 0);
}

/** Other bytes for a third of it. */
function garble(bytes: Buffer, random: () => number): Buffer {
  const start = Math.floor((bytes.length * random()) / 2);
  for (let at = start; at < start + bytes.length / 3 + 1 && at < bytes.length; at += 1)
    bytes[at] = Math.floor(random() * 256);
  return bytes;
}

/** One digit of a hash, where there is one: the file looks as good as before. */
function flip(bytes: Buffer, random: () => number): Buffer {
  const hashes = [...bytes.toString('latin1').matchAll(/[0-9a-f]{64}/g)].map(({ index }) => index);
  const chosen = hashes[Math.floor(random() * hashes.length)];
  const at = chosen === undefined ? Math.floor(random() * bytes.length) : chosen + Math.floor(random() * 64);
  const before = bytes[at] ?? 0;
  bytes[at] = chosen === undefined ? before ^ 1 : before === 0x61 ? 0x62 : 0x61;
  return bytes;
}

async function takeSibling(path: string, { sibling }: Scene): Promise<void> {
  if (sibling === undefined) return;
  await writeFile(path, await readFile(sibling));
}

/** What a user, a backup program or a file manager may leave. */
async function addStrangers(path: string): Promise<void> {
  for (const name of [
    '_x',
    'note.txt',
    '.hidden',
    'lost+found',
    'zz',
    '-rf',
    'é\n',
    `${'f'.repeat(64)}`,
    'ff',
  ])
    await writeFile(join(path, name), 'a stranger\n').catch(() => {});
  await writeFile(Buffer.concat([Buffer.from(`${path}/`), Buffer.from([0xff, 0xfe])]), '');
  for (const name of ['a directory', `${'e'.repeat(64)}`, 'ee']) {
    await mkdir(join(path, name, 'inner'), { recursive: true });
    await writeFile(join(path, name, 'inner/file'), 'a stranger\n');
  }
}
