import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { IMAGES, type ImageName, rootfsOf } from './base-image.ts';
import { filler } from './filler.ts';
import { type Entry, readTree, type Tree } from './tree.ts';

/**
 * What the build of a number is made of. All of it follows from the number, so that whoever has the number knows what
 * every file of every step must hold.
 */
export interface StepName {
  readonly build: number;
  readonly stage: 'tool' | 'main';
  /** From 1, which is the base image. */
  readonly place: number;
}

const LARGE_BYTES = 700_000;
const CONTEXT_FILES = 8;
/** No builder comes so far. */
const FRESH = 12_000_001;

/** Caches of which each version is whole: files 1 to `count` of the version's number. */
const CACHES = {
  often: { count: 12, bytes: 900 },
  seldom: { count: 3, bytes: 150_000 },
} as const;
type CacheName = keyof typeof CACHES;

/** The text of the spec of a build. */
export function specOf(build: number): string {
  const image = `(from ${imageOf(build)}) (shell /bin/sh -c)`;
  const tool = `(build tool (${image} (run (shell "fill 'tool ${build}' /tool 6 3000"))))`;
  const caches = cachesOf(build);
  const targets = caches.map((cache) => `(${cache} (target /${cache}))`).join(' ');
  const change = [
    `rm /small/3 && fill 'changed ${build}' /changed 1 5000 && mv /changed/1 /small/5 && mv /small/7 /moved`,
    `ln -s small/9 /link && fill 'large ${build}' /large 2 ${LARGE_BYTES}`,
    ...caches.map((cache) => `next-cache ${cacheArguments(cache)} ${build}`),
  ].join(' && ');
  return `(${hasTool(build) ? tool : ''} ${image}
    (run (shell "fill 'small ${build}' /small 24 211"))
    (copy (src .) (dst /context/))
    (run (cache ${targets}) (shell "${change}"))
    ${hasTool(build) ? '(copy (from (build tool)) (src tool) (dst /copied/))' : ''})`;
}

/** What a build prints about a cache: which version it was, or that it was none, because it was not whole. */
export const CACHE_LINE = /^\/(\w+) (?:was (empty|\d+)|(is not whole))$/gm;

/** The number of a build that nobody has made, of few steps. It uses every cache, and the image of the other build. */
export function freshBuildLike(build: number): number {
  return FRESH + (build % IMAGES.length) * 4;
}

/** The caches that a build makes anew. */
function cachesOf(build: number): readonly CacheName[] {
  return build % 4 === 1 ? ['often', 'seldom'] : ['often'];
}

/** Writes the context of a build into a directory that exists. */
export async function writeContext(directory: string, build: number): Promise<void> {
  for (const [path, entry] of contextOf(build)) {
    const at = join(directory, path);
    if (entry.type === 'directory') await mkdir(at);
    else if (entry.type === 'link') await symlink(entry.target, at);
    else await writeFile(at, entry.bytes());
  }
}

/** @param images - The directory of the base images. */
export function treeOf({ build, stage, place }: StepName, images: string): Tree {
  const tree = new Map(imageTree(rootfsOf(images, imageOf(build))));
  if (stage === 'tool') {
    if (place >= 2) fill(tree, { label: `tool ${build}`, path: 'tool', count: 6, bytes: 3000 });
    return tree;
  }
  if (place >= 2) fill(tree, { label: `small ${build}`, path: 'small', count: 24, bytes: 211 });
  if (place >= 3) addBelow(tree, 'context', contextOf(build));
  if (place >= 4) change(tree, build);
  if (place >= 5) {
    tree.set('copied', { type: 'directory' });
    fill(tree, { label: `tool ${build}`, path: 'copied/tool', count: 6, bytes: 3000 });
  }
  return tree;
}

const imageTrees = new Map<string, Tree>();

/** It does not change, and is looked at for every step. */
function imageTree(rootfs: string): Tree {
  let tree = imageTrees.get(rootfs);
  if (tree === undefined) {
    tree = readTree(rootfs);
    imageTrees.set(rootfs, tree);
  }
  return tree;
}

function imageOf(build: number): ImageName {
  return IMAGES[build % IMAGES.length] as ImageName;
}

function hasTool(build: number): boolean {
  return build % 4 === 0;
}

function cacheArguments(cache: CacheName): string {
  return `/${cache} ${CACHES[cache].count} ${CACHES[cache].bytes}`;
}

function contextOf(build: number): Tree {
  const tree = new Map<string, Entry>([
    ['below', { type: 'directory' }],
    ['link', { type: 'link', target: 'below/1' }],
  ]);
  for (let i = 1; i <= CONTEXT_FILES; i += 1) {
    const path = i % 2 === 0 ? `${i}` : `below/${i}`;
    tree.set(path, file(`context ${build} ${i}`, i * 1000));
  }
  return tree;
}

function change(tree: Map<string, Entry>, build: number): void {
  const moved = tree.get('small/7');
  if (moved === undefined) throw new Error('nothing was moved');
  for (const path of ['small/3', 'small/7']) tree.delete(path);
  tree.set('moved', moved);
  tree.set('small/5', file(`changed ${build} 1`, 5000));
  tree.set('changed', { type: 'directory' });
  tree.set('link', { type: 'link', target: 'small/9' });
  fill(tree, { label: `large ${build}`, path: 'large', count: 2, bytes: LARGE_BYTES });
}

/** What the program of that name does. */
function fill(
  tree: Map<string, Entry>,
  { label, path, count, bytes }: { label: string; path: string; count: number; bytes: number },
): void {
  tree.set(path, { type: 'directory' });
  for (let i = 1; i <= count; i += 1) tree.set(`${path}/${i}`, file(`${label} ${i}`, i * bytes));
}

function file(label: string, bytes: number): Entry {
  return { type: 'file', bytes: () => filler(label, bytes) };
}

function addBelow(tree: Map<string, Entry>, path: string, added: Tree): void {
  tree.set(path, { type: 'directory' });
  for (const [name, entry] of added) tree.set(join(path, name), entry);
}
