import {
  chmodSync,
  closeSync,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { execa } from 'execa';

/** A file tree in memory: each place by its names, joined by `/`, from the root, which is ''. A character is a byte. */
export type World = ReadonlyMap<string, Thing>;

export interface Thing {
  readonly kind: 'directory' | 'file' | 'link' | 'pipe';
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** In nanoseconds; undefined where anything is right. */
  readonly mtime: bigint | undefined;
  /** Of a file; where a link leads. */
  readonly content: string;
}

/** A thing that is to be made, in the order of the list. */
export interface Wanted extends Thing {
  readonly path: string;
  /** Another name of this file, which is in the list already. */
  readonly sameAs?: string;
}

/** Where a place of the tree below `root` is, for `node:fs`. */
function at(root: string, path: string): Buffer {
  return Buffer.concat([Buffer.from(root), Buffer.from(path === '' ? '' : `/${path}`, 'latin1')]);
}

export async function makeWorld(root: string, wanted: readonly Wanted[]): Promise<void> {
  for (const thing of wanted) {
    const place = at(root, thing.path);
    if (thing.sameAs !== undefined) linkSync(at(root, thing.sameAs), place);
    else if (thing.kind === 'file') writeFileSync(place, Buffer.from(thing.content, 'latin1'));
    else if (thing.kind === 'link') symlinkSync(Buffer.from(thing.content, 'latin1'), place);
    else if (thing.kind === 'directory') {
      if (thing.path !== '') mkdirSync(place);
    } else await makePipe(root, place);
    if (process.getuid?.() === 0) lchownSync(place, thing.uid, thing.gid);
    if (thing.kind !== 'link') chmodSync(place, thing.mode);
  }
  for (const { path, mtime = 0n } of wanted.toReversed()) {
    lutimesSync(at(root, path), 0, Number(mtime) / 1e9);
  }
}

/** A program takes names as text only. */
async function makePipe(root: string, place: Buffer): Promise<void> {
  await execa('mkfifo', ['pipe'], { cwd: root });
  renameSync(at(root, 'pipe'), place);
}

/** @param ignored - Names in the root that are not looked at. */
export function readWorld(root: string, ignored: readonly string[] = []): World {
  const world = new Map<string, Thing>();
  const read = (path: string): void => {
    const place = at(root, path);
    const stat = lstatSync(place, { bigint: true });
    const kind = stat.isDirectory() ? 'directory' : stat.isFile() ? 'file' : stat.isFIFO() ? 'pipe' : 'link';
    const content = kind === 'file' ? readWhole(place) : kind === 'link' ? readlinkSync(place, 'latin1') : '';
    const [mode, uid, gid] = [stat.mode & 0o7777n, stat.uid, stat.gid].map(Number) as [
      number,
      number,
      number,
    ];
    world.set(path, { kind, mode, uid, gid, mtime: stat.mtimeNs, content });
    if (kind !== 'directory') return;
    for (const name of readdirSync(place, 'latin1').sort()) {
      if (path !== '' || !ignored.includes(name)) read(path === '' ? name : `${path}/${name}`);
    }
  };
  read('');
  return world;
}

function readWhole(place: Buffer): string {
  const fd = openSync(place, 'r');
  try {
    return readFileSync(fd, 'latin1');
  } finally {
    closeSync(fd);
  }
}

/** A line for each thing. Node sets times to a microsecond, so one that is that near to the expected one is it. */
export function describeWorld(world: World, expected: World): string[] {
  return [...world]
    .map(([path, thing]) => {
      const { kind, mode, uid, gid, content } = thing;
      const wanted = expected.get(path);
      const time = wanted && describeTime(thing.mtime, wanted.mtime);
      const what = content.length > 40 ? `${content.length} bytes` : JSON.stringify(content);
      return `/${path}: ${kind} ${mode.toString(8)} ${uid}:${gid} ${time ?? thing.mtime} ${what}`;
    })
    .sort();
}

function describeTime(mtime: bigint | undefined, wanted: bigint | undefined): string {
  if (mtime === undefined || wanted === undefined) return 'any time';
  const distance = mtime > wanted ? mtime - wanted : wanted - mtime;
  return `${distance <= 1000n ? wanted : mtime}`;
}
