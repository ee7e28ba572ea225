import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';

describe('the suites for authors of backends', () => {
  it('run under the test runner of Node, without Vitest', { timeout: 240_000 }, async () => {
    // Node's runner hands out a variable by which a run in a run would report to the outer one.
    const env = { ...process.env, NODE_TEST_CONTEXT: undefined, VITEST: undefined, NODE_OPTIONS: undefined };
    const file = join(import.meta.dirname, 'with-node-test.ts');
    const args = ['--test', '--test-reporter=tap', '--experimental-loader', refuseVitest, file];
    const { stdout, exitCode } = await execa(process.execPath, args, {
      env,
      extendEnv: false,
      reject: false,
    });
    expect(stdout).not.toContain('not ok');
    expect(exitCode).toBe(0);
    const [, passed] = /^# pass (\d+)$/m.exec(stdout) ?? [];
    expect(Number(passed)).toBeGreaterThan(60);
    expect(stdout).toContain('# fail 0');
  });
});

/** Hooks of the module loader that refuse to find Vitest. */
const refuseVitest = `data:text/javascript,${encodeURIComponent(`
export function resolve(name, context, next) {
  if (name.startsWith('vitest')) throw new Error('vitest was imported');
  return next(name, context);
}`)}`;
