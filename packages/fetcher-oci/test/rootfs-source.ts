import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { expectOk } from '@snapstep/test-support';
import { execa } from 'execa';
import { type Bench, image, quiet } from './fixtures.ts';
import { makeTar } from './make-image.ts';

export const MEMBERS = [
  { path: 'a/', type: 'dir', mode: 0o1777, uid: 70000 },
  { path: 'a/one', content: 'one', mode: 0o4755, xattrs: { 'user.note': 'kept' } },
  { path: 'a/two', type: 'hardlink', link: 'a/one' },
  { path: 'link', type: 'symlink', link: '/etc/passwd' },
  { path: 'null', type: 'char', device: [1, 3] },
  { path: 'pipe', type: 'fifo' },
] as const;

/** A directory with one of everything. */
export async function makeSource(bench: Bench): Promise<string> {
  const source = join(bench.dir, 'source');
  await mkdir(source);
  await execa('tar', ['-xpC', source, '--xattrs', '--xattrs-include=*'], { input: makeTar(MEMBERS) });
  await writeFile(join(source, 'plain'), 'plain');
  await mkdir(join(source, 'empty'));
  await setTimeout(150);
  return source;
}

export async function digestOf(bench: Bench, source: string): Promise<string> {
  return expectOk(await bench.fetcher.pin(image(`rootfs:${source}`), quiet())).digest;
}
