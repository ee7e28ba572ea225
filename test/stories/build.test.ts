import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type BuildEvent,
  type Builder,
  type BuildRequest,
  type LeasedSnapshot,
  parseSpec,
  toHostPath,
  toStepKey,
} from '@snapstep/core';
import { expectErr, expectOk } from '@snapstep/test-support';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { forEachCombination, makePlace, type OpenPlace, type Place } from './combination.ts';

const SH = '(shell /bin/sh -c)';

function request(text: string, more: Omit<BuildRequest, 'spec'> = {}): BuildRequest {
  return { spec: expectOk(parseSpec(text)), ...more };
}

function outputOf(events: readonly BuildEvent[]): string {
  return Buffer.concat(
    events.flatMap((event) => (event.type === 'step-output' ? [event.chunk] : [])),
  ).toString();
}

/** Builds, and looks at the result while it is leased. */
async function build<T>(
  builder: Builder,
  text: string,
  more: Omit<BuildRequest, 'spec'> & {
    readonly look?: (root: string, result: LeasedSnapshot) => Promise<T>;
  } = {},
): Promise<{
  readonly events: BuildEvent[];
  readonly output: string;
  readonly seen: T | undefined;
  readonly key: string;
}> {
  const events: BuildEvent[] = [];
  const { look, ...rest } = more;
  const built = await builder.build(request(text, { onEvent: (event) => void events.push(event), ...rest }));
  if (built.isErr()) throw new Error(`${JSON.stringify(built.error)}\n${outputOf(events)}`);
  await using result = built.value;
  const [volume] = result.snapshot.volumes.values();
  await using root = expectOk(await (volume?.mount() ?? Promise.reject(new Error('no volume'))));
  const seen = await look?.(root.path, result);
  return { events, output: outputOf(events), seen, key: result.key };
}

const sources = (events: readonly BuildEvent[]): string[] =>
  events.flatMap((event) => (event.type === 'step-done' ? [event.source] : []));

forEachCombination('a build', (combination) => {
  let place: Place;
  let world: OpenPlace;
  beforeAll(async () => {
    place = await makePlace(combination);
    world = await place.open();
  });
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]();
    await place?.[Symbol.asyncDispose]();
  });

  it('runs its steps once, and gives log and files again from the cache', async () => {
    const spec = `((from busybox) ${SH} (run (shell "echo one; echo 1 > /one")) (run (shell "cat /one; echo 2 >> /one")))`;
    const first = await build(world.builder, spec);
    const again = await build(world.builder, spec, { look: (root) => readFile(join(root, 'one'), 'utf8') });
    expect(sources(first.events).slice(-2)).toEqual(['ran', 'ran']);
    expect(sources(again.events)).toEqual(['cache', 'cache', 'cache']);
    expect(again.output).toContain('one\n1\n');
    expect(again.seen).toBe('1\n2\n');
  });

  it('has a world of its own: host name, user, no network, a read-only look at the kernel', async () => {
    const command =
      'hostname; id -u; id -g; pwd; echo $HOME; ls /sys/class/net; echo x > /proc/sys/kernel/hostname || echo refused';
    const { output } = await build(
      world.builder,
      `((from busybox) (user (uid 1000) (gid 1000)) (workdir /home) ${SH} (run (shell "${command}")))`,
    );
    expect(output).toContain('builder\n1000\n1000\n/home\n/home/builder\nlo\n');
    expect(output).toContain('refused\n');
  });

  it('finds a user by name, and tells when there is none', async () => {
    const { output } = await build(
      world.builder,
      `((from busybox) (user (name builder)) ${SH} (run (shell "id -un")))`,
    );
    expect(output).toContain('builder\n');
    const error = expectErr(
      await world.builder.build(request(`((from busybox) (user (name nobody-here)) ${SH} (run (shell id)))`)),
    );
    expect(error).toHaveProperty('message', expect.stringContaining('no user "nobody-here"'));
  });

  it('copies from the context and from a stage, without a tar in the image [K13] [K14] [X6]', async () => {
    const context = join(place.path, 'context');
    await mkdir(join(context, 'src'), { recursive: true });
    await writeFile(join(context, 'src/hello.sh'), '#!/bin/sh\necho hello from the context\n', {
      mode: 0o755,
    });
    const spec = `((build tool ((from busybox) ${SH} (copy (src src) (dst /work/)) (run (shell "/work/src/hello.sh > /out"))))
      (from busybox) (user (uid 7) (gid 8)) (copy (from (build tool)) (src out) (dst /result/)))`;
    const { seen } = await build(world.builder, spec, {
      context: toHostPath(context),
      look: async (root) => [
        await readFile(join(root, 'result/out'), 'utf8'),
        (await stat(join(root, 'result/out'))).uid,
      ],
    });
    expect(seen).toEqual(['hello from the context\n', 7]);
  });

  it('keeps caches between steps and builds, executable, out of the snapshot', async () => {
    const use = (command: string): string =>
      `((from busybox) ${SH} (run (cache (tools (target /opt/cache))) (shell "${command}")))`;
    await build(
      world.builder,
      use(`printf '#!/bin/sh\\necho cached tool' > /opt/cache/tool; chmod +x /opt/cache/tool`),
    );
    const { output, seen } = await build(world.builder, use('/opt/cache/tool'), {
      look: (root) => readdir(join(root)),
    });
    expect(output).toContain('cached tool');
    expect(seen).not.toContain('opt');
    expect(expectOk(await world.builder.caches.list())).toContain('tools');
  });

  it('mounts a secret for one step, read-only, and leaves no trace of it [S1] [S4]', async () => {
    const secrets = new Map([['token', Buffer.from('hunter2-secret')]]);
    const spec = `((from busybox) ${SH} (run (secrets (token (target /run/secrets/token)))
      (shell "cat /run/secrets/token | wc -c; ls -l /run/secrets/token; echo x > /run/secrets/token || echo refused")))`;
    const { output, seen } = await build(world.builder, spec, { secrets, look: (root) => readdir(root) });
    expect(output).toContain('14\n-r--------');
    expect(output).toContain('refused');
    expect(seen).not.toContain('run');
    expect(output).not.toContain('hunter2');
  });

  it('masks a secret that a step prints, whole, in pieces and line by line', async () => {
    const key = ['-----BEGIN KEY-----', 'MIIEvQIBADANBgkq', 'hkiG9w0BAQEFAASC', '-----END KEY-----', ''].join(
      '\n',
    );
    const secrets = new Map([
      ['token', Buffer.from('hunter2-secret\n')],
      ['key', Buffer.from(key)],
    ]);
    const spec = `((from busybox) ${SH} (run (secrets (token (target /run/token)) (key (target /run/key)))
      (shell "echo [$(cat /run/token)]; echo -n hunter; sleep 0.1; echo -n 2-secr; sleep 0.1; echo et; cat /run/key; \
              while read line; do echo \\"> $line\\"; done < /run/key; echo -n hunter2")))`;
    const { output, key: step } = await build(world.builder, spec, { secrets });
    const shown = '[***]\n***\n***\n> ***\n> ***\n> ***\n> ***\nhunter2';
    expect(output).toContain(shown);
    const log = expectOk(await world.builder.log(toStepKey(step)));
    const chunks: Uint8Array[] = [];
    for await (const chunk of log?.follow() ?? []) chunks.push(chunk);
    expect(Buffer.concat(chunks).toString()).toBe(shown);
  });

  it('tells how a command failed, and what it printed, and does not keep it', async () => {
    const spec = `((from busybox) ${SH} (run (shell "echo why; exit 42")))`;
    for (let i = 0; i < 2; i += 1) {
      const events: BuildEvent[] = [];
      const built = await world.builder.build(request(spec, { onEvent: (event) => void events.push(event) }));
      expect(expectErr(built)).toMatchObject({ type: 'step-failed', exit: { type: 'exited', code: 42 } });
      expect(outputOf(events)).toContain('why\n');
    }
  });

  it('enforces its limits and names the one that was hit [R13]', async () => {
    const failing = async (command: string, limits: NonNullable<BuildRequest['limits']>): Promise<unknown> =>
      expectErr(
        await world.builder.build(request(`((from busybox) ${SH} (run (shell "${command}")))`, { limits })),
      );
    expect(await failing('sleep 60', { timeoutMs: 300 })).toMatchObject({ exit: { limit: 'timeoutMs' } });
    expect(await failing('echo x; sleep 61', { silenceMs: 300 })).toMatchObject({
      exit: { limit: 'silenceMs' },
    });
    const eat = 'x=xxxxxxxxxxxxxxxx; while true; do x=$x$x; done';
    expect(await failing(eat, { memoryBytes: 32 * 1024 * 1024 })).toMatchObject({
      exit: { limit: 'memoryBytes' },
    });
  });

  it('is cancelled at once, and nothing of it is left', async () => {
    const stop = new AbortController();
    const result = world.builder.build(
      request(`((from busybox) ${SH} (run (shell "echo going; sleep 1000")))`, {
        signal: stop.signal,
        onEvent: (event) => {
          if (event.type === 'step-output' && Buffer.from(event.chunk).includes('going'))
            stop.abort(new Error('stop'));
        },
      }),
    );
    expect(expectErr(await result)).toMatchObject({ type: 'cancelled' });
    const processes = await Promise.all(
      (await readdir('/proc'))
        .filter((name) => /^\d+$/.test(name))
        .map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
    );
    expect(processes.filter((line) => line.includes('sleep 1000'))).toEqual([]);
  });

  it('is healthy, and its check leaves nothing', async () => {
    const before = expectOk(await world.builder.list()).length;
    await Promise.all([1, 2, 3].map(async () => expectOk(await world.builder.healthcheck('busybox')))); // [P20]
    expect(expectOk(await world.builder.list())).toHaveLength(before);
  });
});
