import { lstatSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Builder, openBuilder, parseSpec, toHostPath } from '@snapstep/core';
import { type ScriptedCommand, scriptedFetcher, scriptedSandbox } from '@snapstep/core/testing';
import { openBtrfsStore } from '@snapstep/store-btrfs';
import { btrfsVolume, expectOk, mountAgain, needs, tempDir, unmountEverywhere } from '@snapstep/test-support';
import { expect, it } from 'vitest';

needs('root', 'btrfs')('a Btrfs store that is mounted again between builds', () => {
  // The device numbers are given out anew, so that nothing that lstat says tells the files of the two stages apart.
  it('gives a copy the files of its own stage, though those of another have the same inodes and times', async () => {
    await using disk = await btrfsVolume({ sizeMiB: 320 });
    await using dir = await tempDir();
    const together = writeTogether({ one: 'ONE', two: 'TWO' });
    const within = async (work: (builder: Builder) => Promise<void>): Promise<void> => {
      await using sandbox = scriptedSandbox({ one: together, two: together });
      await using store = expectOk(await openBtrfsStore({ path: toHostPath(join(disk.path, 'store')) }));
      const fetcher = scriptedFetcher({ base: { files: { origin: 'base' } } });
      const stateDir = toHostPath(join(dir.path, 'state'));
      await using builder = expectOk(await openBuilder({ store, sandbox, fetcher, stateDir }));
      await work(builder);
    };
    const keys: string[] = [];
    await within(async (builder) => {
      const specs = ['one', 'two'].map((name) => `((from base) (run (shell ${name})))`);
      for (const built of await Promise.all(specs.map((spec) => read(builder, spec)))) keys.push(built.key);
    });
    const [one, two] = keys.map((key) => join(disk.path, 'store/result', key, 'rootfs/f')) as [
      string,
      string,
    ];
    const device = await remount(disk.path, { firstLookAt: one });
    const found: string[] = [];
    for (const name of ['one', 'two']) {
      if (name === 'two') await remount(disk.path, { firstLookAt: two, until: device });
      const stage = `(build stage ((from base) (run (shell ${name}))))`;
      const spec = `(${stage} (from base) (copy (from (build stage)) (src f) (dst /f)))`;
      await within(async (builder) => void found.push((await read(builder, spec)).content));
    }
    expect(found).toEqual(['ONE', 'TWO']);
  });
});

/** The file `f` of what a spec makes. */
async function read(
  builder: Builder,
  text: string,
): Promise<{ readonly key: string; readonly content: string }> {
  await using built = expectOk(await builder.build({ spec: expectOk(parseSpec(text)) }));
  const [volume] = built.snapshot.volumes.values();
  await using mounted = expectOk(await (volume as NonNullable<typeof volume>).mount());
  return { key: built.key, content: await readFile(join(mounted.path, 'f'), 'utf8') };
}

/**
 * What is looked at first gets the lowest number that is free, which is the same each time unless somebody else mounts
 * something at this moment: then it is tried again, for a while.
 */
async function remount(
  path: string,
  { firstLookAt, until }: { readonly firstLookAt: string; readonly until?: number },
): Promise<number> {
  for (let tries = 1; ; tries += 1) {
    await unmountEverywhere(path);
    await mountAgain(path);
    const { dev } = lstatSync(firstLookAt);
    if (until === undefined || dev === until || tries === 50) return dev;
  }
}

/** Commands that wait for each other, and write their file `f` within one tick of the kernel's clock. */
function writeTogether(contents: Readonly<Record<string, string>>): ScriptedCommand {
  const files: (readonly [path: string, content: string])[] = [];
  const done = Promise.withResolvers<void>();
  return async ({ root, request }) => {
    files.push([join(root, 'f'), contents[request.argv.at(-1) ?? ''] ?? '']);
    if (files.length < Object.keys(contents).length) return done.promise.then(() => 0);
    do {
      for (const [path] of files) rmSync(path, { force: true });
      for (const [path, content] of files) writeFileSync(path, content);
    } while (new Set(files.map(([path]) => stampOf(path))).size > 1);
    done.resolve();
    return 0;
  };
}

function stampOf(path: string): string {
  const { ino, size, mtimeNs, ctimeNs } = lstatSync(path, { bigint: true });
  return [ino, size, mtimeNs, ctimeNs].join(' ');
}
