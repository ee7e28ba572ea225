import { readdir, readFile, readlink } from 'node:fs/promises';
import { parseMountPoints, type StoreError } from '@snapstep/core/backend';

/** An error that says who is in the way, if it is known. */
export async function withHolders(
  error: StoreError,
  { dataset, path }: { readonly dataset: string; readonly path?: string },
): Promise<StoreError> {
  if (error.type !== 'busy') return error;
  const holders = await holdersOf(dataset, path);
  return holders.length === 0 ? error : { type: 'busy', message: `${error.message} (${holders.join('; ')})` };
}

/**
 * Who keeps a dataset busy, in words, as far as /proc tells (Z1): processes with a file, directory or root in it, and
 * processes of other mount namespaces that have it mounted. Empty where there is no /proc or nobody is found.
 */
async function holdersOf(dataset: string, path?: string): Promise<readonly string[]> {
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name));
  const own = await readlink('/proc/self/ns/mnt').catch(() => '');
  const found = await Promise.all(pids.map((pid) => holderIn(pid, { dataset, path, own })));
  return found.filter((words) => words !== undefined);
}

interface Held {
  readonly dataset: string;
  /** Where it is mounted. */
  readonly path: string | undefined;
  /** The mount namespace of this process. */
  readonly own: string;
}

async function holderIn(pid: string, { dataset, path, own }: Held): Promise<string | undefined> {
  const name = async () => (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '?')).trim();
  const links = path === undefined ? [] : await linksOf(pid);
  const inside = links.find((link) => link === path || link.startsWith(`${path}/`));
  if (inside !== undefined) return `process ${pid} (${await name()}) has ${inside} open`;
  const namespace = await readlink(`/proc/${pid}/ns/mnt`).catch(() => own);
  if (namespace === own) return undefined;
  const lines = (await readFile(`/proc/${pid}/mountinfo`, 'utf8').catch(() => '')).split('\n');
  const line = lines.find((text) => isMountOf(text, dataset));
  if (line === undefined) return undefined;
  const [point] = parseMountPoints(line);
  return `process ${pid} (${await name()}) has it mounted at ${point} in another mount namespace`;
}

/** The source is the second field after the lone dash. */
function isMountOf(line: string, dataset: string): boolean {
  return line.split(' - ')[1]?.split(' ')[1] === dataset;
}

async function linksOf(pid: string): Promise<string[]> {
  const open = await readdir(`/proc/${pid}/fd`).catch(() => []);
  const names = ['cwd', 'root', ...open.map((fd) => `fd/${fd}`)];
  return Promise.all(names.map((name) => readlink(`/proc/${pid}/${name}`).catch(() => '')));
}
