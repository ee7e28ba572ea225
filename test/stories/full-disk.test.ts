import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openBuilder, parseSpec, toHostPath } from '@snapstep/core';
import { openOciFetcher } from '@snapstep/fetcher-oci';
import { openRuncSandbox } from '@snapstep/sandbox-runc';
import { openBtrfsStore } from '@snapstep/store-btrfs';
import { btrfsVolume, busyboxRootfs, expectErr, expectOk, needs, tempDir } from '@snapstep/test-support';
import { expect, it } from 'vitest';

const MIB = 1024 * 1024;

needs(
  'root',
  'btrfs',
  'busybox',
  'runc',
)('a store on a disk that is full', () => {
  it('is pruned in the middle of a build, which then goes on; what is too big for it is told', async () => {
    await using disk = await btrfsVolume({ sizeMiB: 320 });
    await using dir = await tempDir();
    const place = (name: string): ReturnType<typeof toHostPath> => toHostPath(join(dir.path, name));
    for (const name of ['small', 'big']) {
      await mkdir(place(name));
      await busyboxRootfs(place(name), ['sh', 'echo']);
    }
    await writeFile(join(place('big'), 'file'), randomBytes(400 * MIB));
    await using sandbox = expectOk(await openRuncSandbox({ stateDir: place('sandbox') }));
    await using store = expectOk(await openBtrfsStore({ path: toHostPath(join(disk.path, 'store')) }));
    const images = new Map(['small', 'big'].map((name) => [name, `rootfs:${place(name)}`]));
    await using fetcher = expectOk(await openOciFetcher({ stateDir: place('fetcher'), images }));
    const parts = { store, sandbox, fetcher, stateDir: place('builder') };
    await using builder = expectOk(await openBuilder(parts));

    await mkdir(place('context'));
    let notes = '';
    for (let i = 0; i < 4; i += 1) {
      await writeFile(join(place('context'), 'payload'), randomBytes(90 * MIB));
      const built = await builder.build({
        spec: expectOk(parseSpec('((from small) (copy (src payload) (dst /payload)))')),
        context: place('context'),
        onEvent: (event) => {
          if (event.type === 'step-output') notes += Buffer.from(event.chunk).toString();
        },
      });
      await expectOk(built)[Symbol.asyncDispose]();
    }
    expect(notes).toContain('The disk is full: making room');

    const tooBig = await builder.build({ spec: expectOk(parseSpec('((from big))')) });
    expect(expectErr(tooBig)).toMatchObject({ type: 'fetch', error: { type: 'no-space' } });
    expect(expectOk(await store.list()).length).toBeLessThan(5);
  });
});
