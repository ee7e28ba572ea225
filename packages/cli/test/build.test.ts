import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { needs } from '@snapstep/test-support';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { normalise, type Workplace, workplace } from './support.ts';

needs(
  'root',
  'busybox',
  'runc',
  'crun',
  'rsync',
)('snapstep build', () => {
  let place: Workplace;
  beforeAll(async () => {
    place = await workplace();
  });
  afterAll(() => place[Symbol.asyncDispose]());

  it('builds with runc, and takes everything from the cache with crun, since a runtime changes no key', async () => {
    const spec = await place.spec(
      'ok.spec',
      '(env WHO world) (run (shell "echo hello; echo $WHO > /w")) (run (shell "cat /w"))',
    );
    const built = await place.build(spec, '--runtime', 'runc');
    expect(built.stdout).toMatch(/^[0-9a-f]{64}\n$/);
    expect(normalise(built.stderr, place)).toBe(
      [
        'main 1/3 | (from busybox)',
        'main 1/3 | Copying rootfs:DIR/rootfs',
        'main 1/3 | done in N.Ns',
        'main 2/3 | (run (shell "echo hello; echo $WHO > /w"))',
        'main 2/3 | hello',
        'main 2/3 | done in N.Ns',
        'main 3/3 | (run (shell "cat /w"))',
        'main 3/3 | world',
        'main 3/3 | done in N.Ns',
        '',
      ].join('\n'),
    );
    const again = await place.build(spec, '--runtime', 'crun');
    expect(again).toMatchObject({ exitCode: 0, stdout: built.stdout });
    expect(again.stderr).toBe(
      [
        'main 1/3 | (from busybox)',
        'main 1/3 | cached',
        'main 2/3 | (run (shell "echo hello; echo $WHO > /w"))',
        'main 2/3 | cached',
        'main 3/3 | (run (shell "cat /w"))',
        'main 3/3 | cached',
        '',
      ].join('\n'),
    );
    const replayed = await place.build(spec, '--replay');
    expect(replayed.stderr).toContain('main 2/3 | hello\nmain 2/3 | cached\n');
  });

  it('refuses the network of the host where it is told to, and shows the place', async () => {
    const spec = await place.spec('network.spec', '(run (network host) (shell "echo fetched"))');
    const refused = await place.build(spec, '--refuse-host-network');
    expect(refused).toMatchObject({ exitCode: 2, stdout: '' });
    expect(refused.stderr).toMatch(
      /network\.spec:\d+:\d+: the host's network is not for specs here: \(run \(shell "echo fetched"\) \(network host\)\)\n/,
    );
    expect(await place.build(spec)).toMatchObject({ exitCode: 0 });
  });

  it('stops a step that has more than 4096 processes, without being told to', async () => {
    const many = 'i=0; while [ $i -lt 4200 ]; do sleep 60 & i=$((i+1)); done; kill $(jobs -p); echo all';
    const spec = await place.spec('bomb.spec', `(run (shell "${many}"))`);
    const stopped = await place.build(spec);
    expect(stopped).toMatchObject({ exitCode: 1, stdout: '' });
    expect(stopped.stderr).toContain('exceeded its limit of processes');
  });

  it('lets steps make user namespaces where they are allowed, which changes no key', async () => {
    const spec = await place.spec('allow.spec', '(run (shell "unshare --user true"))');
    const refused = await place.build(spec);
    expect(refused).toMatchObject({ exitCode: 1, stdout: '' });
    const built = await place.build(spec, '--allow', 'io-uring', '--allow', 'user-namespaces');
    expect(built).toMatchObject({ exitCode: 0 });
    expect(await place.build(spec)).toMatchObject({ exitCode: 0, stdout: built.stdout });
  });

  it('leaves out of the context what an ignore file says, where it is asked to', async () => {
    const context = join(place.path, 'context');
    await mkdir(context);
    for (const name of ['a.c', 'a.o', 'b']) await writeFile(join(context, name), name);
    await writeFile(join(context, '.dockerignore'), '*.o\n');
    await writeFile(join(context, '.gitignore'), '/b\n.*\n');
    const spec = await place.spec('ignore.spec', '(copy (src .) (dst /c/)) (run (shell "ls -A /c"))');
    const both = ['--ignore-file', '.dockerignore', '--ignore-file', '.gitignore'];
    const listed = async (...args: readonly string[]) => {
      const { stderr } = await place.build(spec, ...args, context);
      return stderr.split('\n').flatMap((line) => /^main 3\/3 \| (\.?[a-z.]+)$/.exec(line)?.[1] ?? []);
    };
    expect(await listed()).toEqual(['.dockerignore', '.gitignore', 'a.c', 'a.o', 'b']);
    expect(await listed(...both.slice(0, 2))).toEqual(['.dockerignore', '.gitignore', 'a.c', 'b']);
    expect(await listed(...both)).toEqual(['a.c']);
    const images = ['--image', `busybox=rootfs:${place.path}/rootfs`];
    const plan = await place.snapstep(['plan', '-f', spec, ...images, ...both, context]);
    expect(plan.stdout.match(/ saved /g)).toHaveLength(3);
  });

  it('L8: exits with 1 when a step fails under crun, and ends with a summary of it', async () => {
    const spec = await place.spec('fail.spec', '(run (shell "seq 1 30; printf \'the end\'; exit 7"))');
    const failed = await place.build(spec, '--runtime', 'crun');
    expect(failed).toMatchObject({ exitCode: 1, stdout: '' });
    const tail = Array.from({ length: 19 }, (_, index) => `  | ${index + 12}`);
    expect(normalise(failed.stderr, place)).toContain(
      [
        'main 2/2 | the end',
        'main 2/2 | failed: the command exited with 7',
        'snapstep: stage "main": the command exited with 7',
        '  (run (shell "seq 1 30; printf \'the end\'; exit 7"))',
        'the last 20 lines of its log:',
        ...tail,
        '  | the end',
        'key KEY',
        'the whole log: snapstep log KEY',
        '',
      ].join('\n'),
    );
    const command = /snapstep log ([0-9a-f]{64})/.exec(failed.stderr)?.[1] ?? '';
    const log = await place.snapstep(['log', command]);
    expect(log).toMatchObject({ exitCode: 0, stdout: `${numbers(30)}the end` });
  });

  it('shows two stages that run at the same time, each line with its stage and step', async () => {
    const file = join(place.path, 'stages.spec');
    const stage = (name: string) =>
      `(build ${name} ((from busybox) (shell /bin/sh -c) (run (shell "echo I am ${name}; echo ${name} > /${name}"))))`;
    await writeFile(
      file,
      `(${stage('one')} ${stage('two')} (from busybox)
        (copy (from (build one)) (src /one) (dst /one)) (copy (from (build two)) (src /two) (dst /two)))`,
    );
    const built = await place.build(file);
    expect(built.exitCode).toBe(0);
    expect(built.stderr).toContain('one 2/2 | I am one\n');
    expect(built.stderr).toContain('two 2/2 | I am two\n');
    expect(built.stderr).toMatch(/main 3\/3 \| done in \d\.\ds\n$/);
  });

  it('says so where a step waits for its turn, and at its end how long it waited', async () => {
    const file = join(place.path, 'waiting.spec');
    const stage = (name: string) =>
      `(build ${name} ((from busybox) (shell /bin/sh -c) (run (shell "sleep 2; echo ${name} > /${name}-waits"))))`;
    await writeFile(
      file,
      `(${stage('one')} ${stage('two')} (from busybox)
        (copy (from (build one)) (src /one-waits) (dst /one)) (copy (from (build two)) (src /two-waits) (dst /two)))`,
    );
    const built = await place.build(file, '--concurrency', '1');
    expect(built.exitCode).toBe(0);
    expect(built.stderr.match(/^(one|two) 2\/2 \| waiting for its turn$/gm)).toHaveLength(1);
    expect(built.stderr).toMatch(/^(one|two) 2\/2 \| done in 2\.\ds, after waiting [2-9]\.\ds$/m);
    expect(built.stderr).toMatch(/^(one|two) 2\/2 \| done in 2\.\ds$/m);
  });

  it('gives a secret to the step that wants it, and to no other', async () => {
    await writeFile(join(place.path, 'token'), 'hunter2');
    const spec = await place.spec(
      'secret.spec',
      '(run (secrets (token (target /s))) (shell "wc -c < /s")) (run (shell "ls /s || echo gone"))',
    );
    const built = await place.build(spec, '--secret', 'token:token');
    expect(built.exitCode).toBe(0);
    expect(built.stderr).toContain('main 2/3 | 7\n');
    expect(built.stderr).toContain('main 3/3 | gone\n');
    expect(built.stderr).not.toContain('hunter2');
  });

  it('ends a step at its limits of time, silence and memory, and names the limit', async () => {
    const sleeps = await place.spec('sleep.spec', '(run (shell "sleep 1000"))');
    const late = await place.build(sleeps, '--timeout', '300ms');
    expect(late).toMatchObject({ exitCode: 1 });
    expect(late.stderr).toContain('the command exceeded its limit of time');
    const silent = await place.build(sleeps, '--silence', '300ms');
    expect(silent.stderr).toContain('the command exceeded its limit of silence');
    const greedy = await place.spec('greedy.spec', '(run (shell "tail /dev/zero"))');
    const killed = await place.build(greedy, '--memory', '32M', '--cpus', '1.5', '--pids', '50');
    expect(killed).toMatchObject({ exitCode: 1 });
    expect(killed.stderr).toContain('the command exceeded its limit of memory');
  });

  it('keeps so much of what a step prints, from its beginning and its end', async () => {
    const spec = await place.spec('chatty.spec', '(run (shell "seq 100000 109999"))');
    const built = await place.build(spec, '--log-size', '7000B', '--progress', 'plain');
    expect(built.stderr).toMatch(/ \| 100000$.* \| 109999$/ms);
    const log = await place.snapstep(['log', built.stdout.trim()]);
    expect(log.stdout).toMatch(/^100000\n(10\d{4}\n)+\[\.\.\. 63,00\d bytes left out: .*\]\n(10\d{4}\n)+$/);
    expect(log.stdout).toMatch(/109999\n$/);
  });

  it('gives every event as one JSON object per line, with every byte of the output', async () => {
    const spec = await place.spec(
      'bytes.spec',
      `(run (shell "printf 'caf\\\\303\\\\251\\\\n'; sleep 0.3; printf '\\\\377\\\\000'"))`,
    );
    const built = await place.snapstep([
      ...['build', '-f', spec, '--progress', 'json'],
      ...['--image', `busybox=rootfs:${join(place.path, 'rootfs')}`],
    ]);
    const events = built.stderr
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    const key = built.stdout.trim();
    expect(events[0]).toEqual({ type: 'stage-started', stage: 'main', steps: 2, at: expect.any(String) });
    expect(Math.abs(Date.now() - Date.parse(events[0].at))).toBeLessThan(60_000);
    expect(events.at(-1)).toMatchObject({ type: 'step-done', stage: 'main', key, source: 'ran' });
    const chunks = events
      .filter((event) => event.type === 'step-output' && event.key === key)
      .map((event) =>
        event.text === undefined ? Buffer.from(event.base64, 'base64') : Buffer.from(event.text),
      );
    expect(Buffer.concat(chunks)).toEqual(Buffer.from([...Buffer.from('café\n'), 0xff, 0]));
  });

  it('tells of a failure in JSON too', async () => {
    const failed = await place.snapstep(['build', '-f', '-', '--progress', 'json'], { input: '((from' });
    expect(failed.exitCode).toBe(2);
    expect(JSON.parse(failed.stderr)).toMatchObject({ type: 'failed', exitCode: 2 });
  });

  it('shows control characters of a step as nothing', async () => {
    const spec = await place.spec(
      'evil.spec',
      `(run (shell "printf '\\\\033[2J\\\\033]0;title\\\\007\\\\033[31mevil\\\\033[0m\\\\b\\\\n1%%\\\\r100%%\\\\n'"))`,
    );
    const built = await place.build(spec);
    expect(built.stderr).toContain('main 2/2 | evil\nmain 2/2 | 100%\n');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there.
    expect(built.stderr).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f]/);
  });
});

function numbers(last: number): string {
  return Array.from({ length: last }, (_, index) => `${index + 1}\n`).join('');
}
