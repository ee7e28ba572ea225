import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { busyboxRootfs, needs, tempDir } from '@snapstep/test-support';
import { execa } from 'execa';
import { expect, it } from 'vitest';
import type { Answer, Job } from '../src/worker.ts';

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url));

needs(
  'root',
  'busybox',
  'runc',
)('the worker', () => {
  it('does the jobs it is given, in real containers, and answers each', async () => {
    await using dir = await tempDir();
    const rootfs = join(dir.path, 'rootfs');
    await mkdir(rootfs);
    await busyboxRootfs(rootfs, ['sh', 'echo']);
    const spec = (command: string): string =>
      `((from busybox) (shell /bin/sh -c) (run (shell "${command}")))`;
    const jobs: Job[] = [
      { id: 'good', spec: spec('echo hello') },
      { id: 'again', spec: spec('echo hello') },
      { id: 'bad', spec: spec('exit 3') },
      { id: 'wrong', spec: '((from x) (rum))' },
    ];
    const input = jobs.map((job) => `${JSON.stringify(job)}\n`).join('');
    const { stdout } = await execa(
      process.execPath,
      [MAIN, join(dir.path, 'worker'), '2', `busybox=rootfs:${rootfs}`],
      { input },
    );
    const answers = new Map(
      stdout
        .split('\n')
        .map((line) => JSON.parse(line) as Answer)
        .map((one) => [one.id, one]),
    );
    expect(answers.get('good')?.key).toMatch(/^[0-9a-f]{64}$/);
    expect(answers.get('again')?.key).toBe(answers.get('good')?.key);
    expect(answers.get('bad')?.error).toBe('the command exited with 3');
    expect(answers.get('wrong')?.error).toMatch(/^1:\d+: /);
  });
});
