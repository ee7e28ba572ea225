import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toHostPath, toVolumeName } from '@snapstep/core/backend';
import { expectErr, tempDir } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { Commands } from '../src/commands.ts';
import { type Frame, writeFrames } from '../src/frames.ts';
import { Layout } from '../src/layout.ts';
import { Mounts } from '../src/mounts.ts';
import type { Place } from '../src/place.ts';
import { receiveVolumes, sendVolumes } from '../src/streams.ts';
import { Trash } from '../src/trash.ts';
import { Zfs } from '../src/zfs.ts';

const home = toVolumeName('home');

describe('a stream of volumes', () => {
  it('ends with an abort, also where `zfs receive` takes nothing more', async () => {
    await using place = await placeWithZfs('case $1 in receive) exec sleep 60 ;; esac');
    const abort = new AbortController();
    async function* frames(): AsyncGenerator<Frame> {
      yield { kind: 'V', volume: home, isIncremental: false };
      yield { kind: 'D', data: new Uint8Array(4_000_000) };
      // Asked for when that was taken out of the stream.
      abort.abort(new Error('enough'));
      yield { kind: 'E' };
    }
    const body = ReadableStream.from(writeFrames(frames()));
    const received = await receiveVolumes(place, { body, signal: abort.signal });
    expect(expectErr(received)).toMatchObject({ type: 'cancelled' });
  }, 10_000);

  it('whose `zfs` does not even end when it is killed is stuck, and nothing is launched until it ends (Z11)', async () => {
    // What a killed process left holds its output open, so that it counts as running.
    const script = 'case $1 in send) sleep 60 & echo $! >"$0.pid"; echo data; wait ;; esac';
    await using place = await placeWithZfs(script, 300);
    const { signal } = new AbortController();
    const body = sendVolumes(place, { volumes: [{ name: home, snapshot: 'p/x@snap' }], signal });
    const reader = body.getReader();
    // The format, the head and the name of a volume, and the head of its data.
    for (let read = 0; read < 4; read += 1) await reader.read();
    await reader.cancel();
    expect(place.commands.refusal()).toMatchObject({ type: 'stuck', needsReboot: true });
    process.kill(Number(await readFile(join(place.layout.directory, 'zfs.pid'), 'utf8')), 'SIGKILL');
    await expect.poll(() => place.commands.refusal()).toBeUndefined();
  });

  it('is neither sent nor received by a store that is closed', async () => {
    await using place = await placeWithZfs('touch "$0.started"');
    await place.commands.close();
    const { signal } = new AbortController();
    const reader = sendVolumes(place, {
      volumes: [{ name: home, snapshot: 'p/x@snap' }],
      signal,
    }).getReader();
    const drain = async () => {
      for (;;) if ((await reader.read()).done) return;
    };
    await expect(drain()).rejects.toThrow('the store is closed');
  });
});

/** What a store works with, over a `zfs` that is a script. */
async function placeWithZfs(script: string, stuckAfterMs = 60_000): Promise<Place & AsyncDisposable> {
  const dir = await tempDir();
  const path = process.env.PATH ?? '';
  await writeFile(join(dir.path, 'zfs'), `#!/bin/sh\n${script}\nexit 0\n`);
  await chmod(join(dir.path, 'zfs'), 0o755);
  process.env.PATH = `${dir.path}:${path}`;
  const commands = new Commands({ stuckAfterMs });
  const zfs = new Zfs(commands, { stuckAfterMs });
  const layout = new Layout('p', toHostPath(dir.path));
  return {
    ...{ commands, zfs, layout, trash: new Trash(layout, zfs) },
    mounts: new Mounts({ layout, zfs, maxMounts: 1 }),
    async [Symbol.asyncDispose]() {
      process.env.PATH = path;
      await commands.close();
      await dir[Symbol.asyncDispose]();
    },
  };
}
