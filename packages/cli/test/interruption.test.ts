import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { needs } from '@snapstep/test-support';
import { execa } from 'execa';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { running } from './running.ts';
import { type Workplace, workplace } from './support.ts';

needs(
  'root',
  'busybox',
  'runc',
  'crun',
  'rsync',
)('a signal in the middle of a step', () => {
  let place: Workplace;
  let build: string[];
  /** Found in the command line of the step, and nowhere else on the machine. */
  let mark: string;
  beforeEach(async () => {
    place = await workplace();
    mark = `98${process.pid}${Math.trunc(performance.now())}`;
    const spec = await place.spec(
      'long.spec',
      `(run (shell "trap '' INT TERM; echo begun; sleep ${mark}; sleep ${mark}"))`,
    );
    const image = `busybox=rootfs:${join(place.path, 'rootfs')}`;
    build = ['build', '-f', spec, '--image', image, '--progress', 'plain'];
  });
  afterEach(() => place[Symbol.asyncDispose]());

  it.each([
    ['SIGINT', 130, 'runc'],
    ['SIGTERM', 143, 'crun'],
  ] as const)(
    '%s ends it, with the exit code %i, and leaves nothing of %s behind',
    async (signal, code, runtime) => {
      await using command = running(place, [...build, '--runtime', runtime]);
      await command.prints('| begun\n');
      expect(await processesWith(mark)).not.toEqual([]);
      command.kill(signal);
      const { exitCode, stderr } = await command.end;
      expect(exitCode).toBe(code);
      expect(stderr).toContain(`snapstep: ${signal}: stopping cleanly; once more kills at once\n`);
      expect(stderr).toMatch(/snapstep: stopped\n$/);
      expect(await remains(place, mark)).toEqual({ processes: [], mounts: [], cgroups: [], temporary: [] });
    },
  );

  it('SIGINT twice kills at once, and the next command clears up', async () => {
    await using command = running(place, build);
    await command.prints('| begun\n');
    command.kill('SIGINT');
    await command.prints('SIGINT: stopping cleanly');
    command.kill('SIGINT');
    expect(await command.end).toMatchObject({ exitCode: 130 });
    expect(await place.snapstep(['ls'])).toMatchObject({ exitCode: 0, stderr: '' });
    expect(await remains(place, mark)).toEqual({ processes: [], mounts: [], cgroups: [], temporary: [] });
  });

  it('R1: SIGKILL leaves what the next command ends and removes', async () => {
    await using command = running(place, build);
    await command.prints('| begun\n');
    command.kill('SIGKILL');
    await command.end;
    expect(await place.snapstep(['ls'])).toMatchObject({ exitCode: 0 });
    expect(await remains(place, mark)).toEqual({ processes: [], mounts: [], cgroups: [], temporary: [] });
  });
});

/** Everything that a step may leave on the machine. */
async function remains(place: Workplace, mark: string) {
  const mounts = (await readFile('/proc/self/mounts', 'utf8'))
    .split('\n')
    .filter((line) => line.includes(place.path));
  const identity = await readFile(join(place.path, 'store/sandbox/identity'), 'utf8');
  const cgroups = await execa('find', ['/sys/fs/cgroup', '-name', `*${identity.trim()}*`], { reject: false });
  return {
    processes: await processesWith(mark),
    mounts,
    cgroups: cgroups.stdout.split('\n').filter(Boolean),
    temporary: await leftCopies(join(place.path, 'store/temporary')),
  };
}

/** What lies in the directories that each opening of a store has for its writable copies. */
async function leftCopies(temporary: string): Promise<string[]> {
  const sessions = await readdir(temporary);
  return (await Promise.all(sessions.map((name) => readdir(join(temporary, name))))).flat();
}

async function processesWith(mark: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
  );
  return lines.filter((line) => line.includes(mark));
}
