import { spawnSync } from 'node:child_process';
import { chmod, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { needs, tellTries, tempDir } from '@snapstep/test-support';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openBench } from '../steps.ts';

const SECRET = 'what only the step may know';
/** SIGQUIT may be ignored from the start, and then a shell leaves it so. */
const SIGNALS = { SEGV: 139, ABRT: 134, BUS: 135 } as const;
const LIMITS = [':', 'ulimit -c 0', 'ulimit -Sc unlimited', 'ulimit -c unlimited', 'ulimit -Hc 0'];

/** Here it may be changed: on any other machine it belongs to all of its processes. */
const PATTERN = '/proc/sys/kernel/core_pattern';

/** With a limit, the kernel keeps a process that ends until the program has all of it. */
const PIPES = '/proc/sys/kernel/core_pipe_limit';

needs(
  'guest',
  'root',
  'busybox',
  'runc',
)('a program of the host that gets core dumps', () => {
  let host: Host;
  beforeAll(async () => {
    host = await openHost();
  });
  afterAll(() => host?.[Symbol.asyncDispose]());

  it('gets all that a process outside of a step has in its memory, though its limit is 0', async () => {
    for (const [signal, code] of Object.entries(SIGNALS)) {
      await writeFile(join(host.directory, 'secret'), SECRET);
      const script = `ulimit -Sc 0; ${crash(join(host.directory, 'secret'), signal)}`;
      const { status } = spawnSync('/bin/busybox', ['sh', '-c', `sh -c '${script}'; exit $?`]);
      expect(status).toBe(code);
    }
    const dumps = await host.takeDumps();
    expect(dumps.map((dump) => dump.includes(SECRET))).toEqual([true, true, true]);
  });

  it.for([
    ['root', { uid: 0, gid: 0 }],
    ['another user', { uid: 1000, gid: 1000 }],
  ] as const)(
    'gets nothing of a step of %s, which was given a secret, whatever limit it sets',
    async ([, user], { task }) => {
      await using bench = await openBench({ runtime: 'runc' });
      const tries = LIMITS.flatMap((limit) =>
        Object.entries(SIGNALS).map(([signal, code]) => ({ limit, signal, code })),
      );
      // The first process of a step does not get its own signals.
      const script = tries
        .map(({ limit, signal }) => `sh -c '${limit} && ${crash('/secret', signal)}' 2>/dev/null; echo $?`)
        .join('\n');
      const secrets = [{ target: '/secret', value: Buffer.from(SECRET) }];
      const output = await bench.outputOf(script, { user, secrets });
      const dumps = await host.takeDumps();
      const read = dumps.filter((dump) => dump.includes(SECRET)).length;
      tellTries(task, { what: 'crashes of a step that has a secret', made: tries.length, read });
      expect(dumps.map((dump) => dump.length)).toEqual([]);
      expect(output.match(/^\d+$/gm)?.map(Number)).toEqual(tries.map(({ code }) => code));
    },
  );
});

/** Ends in a signal, with a file's content in the memory of the process. */
function crash(file: string, signal: string): string {
  return `s=$(cat ${file}); test -n "$s" && kill -${signal} $$`;
}

interface Host extends AsyncDisposable {
  readonly directory: string;
  /** What the program got since it was asked last, one for each process. */
  takeDumps(): Promise<readonly Buffer[]>;
}

async function openHost(): Promise<Host> {
  const dir = await tempDir();
  const dumps = join(dir.path, 'dumps');
  await mkdir(dumps);
  const program = join(dir.path, 'program');
  await writeFile(program, `#!/bin/busybox sh\nexec /bin/busybox cat >${dumps}/$1\n`);
  await chmod(program, 0o755);
  const before = await Promise.all([PATTERN, PIPES].map((path) => readFile(path, 'utf8')));
  await writeFile(PATTERN, `|${program} %P`);
  await writeFile(PIPES, '16');
  return {
    directory: dir.path,
    async takeDumps() {
      const files = (await readdir(dumps)).map((name) => join(dumps, name));
      const contents = await Promise.all(files.map((file) => readFile(file)));
      for (const file of files) await rm(file);
      return contents;
    },
    async [Symbol.asyncDispose]() {
      for (const [i, path] of [PATTERN, PIPES].entries()) await writeFile(path, before[i] ?? '');
      await dir[Symbol.asyncDispose]();
    },
  };
}
