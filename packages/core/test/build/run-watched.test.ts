import { setImmediate } from 'node:timers/promises';
import { expectErr, expectOk, tempDir } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { directoryVolume, toVolumeName } from '../../src/backend/index.ts';
import { DiskWatch } from '../../src/build/disk-watch.ts';
import { runWatched } from '../../src/build/run-step.ts';
import { spareRules } from '../../src/build/spare-room.ts';
import { type Exit, err, failed, type RunRequest, toHostPath } from '../../src/index.ts';
import { memoryStore, type ScriptedCommand, scriptedSandbox } from '../../src/testing/index.ts';

const rootfs = toVolumeName('rootfs');
const FREE = String.raw`only \d+ of \d+ bytes are free`;

describe('a command that is watched', () => {
  it('is not begun on a disk that is nearly full, and the failure says how full', async () => {
    await using place = await openPlace(async () => 0, { isFull: true });
    await place.mountOnce();
    expectFull(await place.run(), `^the disk of the step is nearly full: ${FREE}$`);
    expect(place.ran).toEqual([]);
  });

  it.each<Exit | number>([0, 1, { type: 'signalled', signal: 'SIGKILL' }])(
    'is not believed whose disk was full while it ran, however it exited: %j',
    async (exit) => {
      await using place = await openPlace(async () => exit, { isFull: true });
      const why = 'programs do not always notice, so what the command left behind is not kept';
      expectFull(
        await place.run(),
        String.raw`^the disk was full while the command ran \(${FREE}\); ${why}$`,
      );
      expect(place.ran).toEqual(['a']);
    },
  );

  it('is not believed while which another step found the store full', async () => {
    await using place = await openPlace(async () => {
      place.disks.alarm();
      return 0;
    });
    expectFull(await place.run(), 'while the command ran \\(another step found the store full\\)');
  });

  it('is believed on a disk that has room', async () => {
    await using place = await openPlace(async () => 3);
    expect(expectOk(await place.run())).toEqual({ type: 'exited', code: 3 });
  });

  it('has its secrets masked, and settles when the log has taken all of it', async () => {
    await using place = await openPlace(async ({ request: { output } }) => {
      await output.write('hunter2, hunter');
      return 0;
    });
    const shown: string[] = [];
    const write = async (chunk: Uint8Array | string): Promise<void> => {
      await setImmediate();
      shown.push(String(chunk));
    };
    const secrets = [{ target: '/token', value: Buffer.from('hunter2') }];
    expectOk(await place.run(undefined, { secrets, output: { write } }));
    expect(shown).toEqual(['***, ', 'hunter']);
  });

  it('has exceeded its limit, or was stopped, also on a full disk', async () => {
    const exceeded: Exit = { type: 'limit-exceeded', limit: 'timeoutMs' };
    await using limited = await openPlace(async () => exceeded, { isFull: true });
    expect(expectOk(await limited.run())).toEqual(exceeded);
    const stop = new AbortController();
    await using stopped = await openPlace(async () => 0, { isFull: true });
    const { run } = stopped.sandbox;
    stopped.sandbox.run = async (...asked) => {
      const exit = await run(...asked);
      stop.abort(new Error('enough'));
      return exit;
    };
    expect(expectOk(await stopped.run(stop.signal))).toEqual({ type: 'exited', code: 0 });
  });

  it('fails with what its sandbox says, also on a full disk', async () => {
    await using place = await openPlace(async () => 0, { isFull: true });
    const { run } = place.sandbox;
    place.sandbox.run = async (...asked) => {
      await run(...asked);
      return err(failed('the sandbox is broken'));
    };
    expect(expectErr(await place.run())).toEqual({
      ...{ type: 'sandbox', error: failed('the sandbox is broken'), message: 'the sandbox is broken' },
    });
  });

  it.each([
    ['ENOSPC', /^the disk of \/state is full: no room$/],
    ['EIO', /^no room$/],
  ])('fails on a full disk with what a system call threw, such as %s for its log', async (code, message) => {
    const thrown = Object.assign(new Error('no room'), { code, syscall: 'write' });
    await using place = await openPlace(async () => 0, { isFull: true, thrown });
    expect(expectErr(await place.run())).toMatchObject({
      ...{ type: 'store', message: expect.stringMatching(message) },
    });
  });

  it('throws on what was thrown where the disk has room, and a bug in any case', async () => {
    const thrown = Object.assign(new Error('no room'), { code: 'ENOSPC', syscall: 'write' });
    await using roomy = await openPlace(async () => 0, { thrown });
    await expect(roomy.run()).rejects.toBe(thrown);
    const bug = new TypeError('a bug');
    await using full = await openPlace(async () => 0, { isFull: true, thrown: bug });
    await expect(full.run()).rejects.toBe(bug);
  });
});

type Place = Awaited<ReturnType<typeof openPlace>>;

function expectFull(result: Awaited<ReturnType<Place['run']>>, text: string): void {
  const message = expect.stringMatching(new RegExp(text));
  expect(expectErr(result)).toEqual({ type: 'store', error: { type: 'no-space', message }, message });
}

/** A command in a directory, on a disk that is taken for full or not. */
async function openPlace(
  command: ScriptedCommand,
  { isFull = false, thrown }: { readonly isFull?: boolean; readonly thrown?: Error } = {},
) {
  const [dir, store] = [await tempDir(), await memoryStore()];
  const sandbox = scriptedSandbox({ a: command });
  const { run } = sandbox;
  sandbox.run = async (...asked) => {
    const exit = await run(...asked);
    if (thrown) throw thrown;
    return exit;
  };
  const disks = new DiskWatch(
    spareRules(isFull ? { bytes: Infinity, part: 0.999_999 } : { bytes: 0, inodes: 0 }),
  );
  const volume = directoryVolume(rootfs, toHostPath(dir.path));
  const watch = disks.begin(new Map([[rootfs, volume]]));
  return {
    disks,
    sandbox,
    ran: sandbox.ran,
    mountOnce: async (): Promise<void> => {
      for (const one of watch.volumes.values()) await expectOk(await one.mount())[Symbol.asyncDispose]();
    },
    run: (signal: AbortSignal = new AbortController().signal, more: Partial<RunRequest> = {}) => {
      const request: RunRequest = {
        ...{
          argv: ['sh', '-c', 'a'],
          cwd: '/',
          env: {},
          user: { uid: 0, gid: 0 },
          network: 'none',
          limits: {},
        },
        ...{ volumes: watch.volumes, mounts: [], secrets: [], output: { write: async () => {} }, signal },
        ...more,
      };
      const engine = { sandbox, features: store, stateDir: toHostPath('/state') };
      return runWatched(engine, watch, request);
    },
    [Symbol.asyncDispose]: async () => {
      watch[Symbol.dispose]();
      await store[Symbol.asyncDispose]();
      await dir[Symbol.asyncDispose]();
    },
  };
}
