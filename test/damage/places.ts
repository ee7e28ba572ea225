import { readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';

/** A file or directory that we keep. */
export interface Found {
  /** From the disk on. */
  readonly path: string;
  readonly kind: 'file' | 'directory';
  /** What it is, such as `builder/steps/ab/run.json`. */
  readonly class: string;
}

/** What is in these belongs to the user: what it holds cannot be told from what it should hold. */
const CONTENT = [
  /^store\/result\/[^/]+\/[^/]+$/,
  /^store\/cache\/[^/]+$/,
  /^store\/layers\/[^/]+\/v$/,
  /^store\/temporary\/[^/]+\/[^/]+/,
  /^fetcher\/tmp\/[^/]+\/pull-[^/]+$/,
  /^sandbox\/run\/bundles\/[^/]+$/,
];

function isContent(path: string): boolean {
  return CONTENT.some((pattern) => pattern.test(path));
}

/** All that is kept on a disk, without what is in the volumes of users. */
export async function placesOn(disk: string, roles: ReadonlyMap<string, string>): Promise<readonly Found[]> {
  const found: Found[] = [];
  const todo = [disk];
  for (let at = todo.pop(); at !== undefined; at = todo.pop()) {
    for (const entry of await readdir(at, { withFileTypes: true }).catch(() => [])) {
      const full = join(at, entry.name);
      const path = relative(disk, full);
      if (entry.name === 'lost+found' || !(entry.isFile() || entry.isDirectory())) continue;
      const kind = entry.isDirectory() ? 'directory' : 'file';
      found.push({ path, kind, class: classOf(path, roles) });
      if (kind === 'directory' && !isContent(path)) todo.push(full);
    }
  }
  return found;
}

/** The path without what is another one each time. */
function classOf(path: string, roles: ReadonlyMap<string, string>): string {
  return path
    .replace(/[0-9a-f]{64}/g, (key) => roles.get(key) ?? 'other')
    .replace(/(steps|logs)\/[0-9a-f]{2}(?=\/|$)/, '$1/ab')
    .replace(/(layers|bundles|temporary|runtime)\/[^/]+/, '$1/*')
    .replace(/(temporary\/\*)\/[^/]+/, '$1/*')
    .replace(/fetcher\/tmp\/[^/]+/, 'fetcher/tmp/*')
    .replace(/pull-[^/]+/, 'pull-*')
    .replace(/output-\d+/, 'output-*');
}

/** The classes, but those that differ from others in nothing but the step that they belong to. */
export function classesOf(found: readonly Found[]): readonly Pick<Found, 'class' | 'kind'>[] {
  const classes = new Map(found.map(({ class: name, kind }) => [`${kind} ${name}`, { class: name, kind }]));
  return [...classes.values()].filter(
    ({ class: name }) => !/\bother\b|logs\/ab\/(base|copy)|steps\/ab\/planned/.test(name),
  );
}
