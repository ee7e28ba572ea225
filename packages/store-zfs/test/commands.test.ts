import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from '@snapstep/core/backend';
import { expectErr, expectOk, tempDir } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { Commands, commandFailure } from '../src/commands.ts';
import { isChanging, waitForRunning } from '../src/running-commands.ts';

describe('the commands of a store', () => {
  it('are not launched any more while one does not end, and again when it has ended (Z11)', async () => {
    await using dir = await tempDir();
    const gate = join(dir.path, 'gate');
    expectOk(await runCommand('mkfifo', [gate]));
    const commands = new Commands({ stuckAfterMs: 50 });
    const stuck = await commands.run(['cat', gate]);
    expect(expectErr(stuck)).toMatchObject({ type: 'stuck', needsReboot: true });
    const marker = join(dir.path, 'marker');
    expect(expectErr(await commands.run(['touch', marker])).type).toBe('stuck');
    await expect(readFile(marker)).rejects.toThrow('ENOENT');
    await writeFile(gate, '');
    await expect.poll(async () => (await commands.run(['true'])).isOk()).toBe(true);
  });

  it('are waited for when the store is closed, and refused from then on', async () => {
    await using dir = await tempDir();
    const gate = join(dir.path, 'gate');
    expectOk(await runCommand('mkfifo', [gate]));
    const commands = new Commands({ stuckAfterMs: 60_000 });
    const ends: string[] = [];
    const running = commands.run(['cat', gate]).then(() => ends.push('command'));
    const closing = commands.close().then(() => ends.push('close'));
    await writeFile(gate, '');
    await Promise.all([running, closing]);
    expect(ends).toEqual(['command', 'close']);
    expect(expectErr(await commands.run(['true']))).toMatchObject({ message: 'the store is closed' });
  });

  it('fail with the tag that says what can be done about it', () => {
    const tag = (stderr: string) =>
      commandFailure({ type: 'failed', message: stderr, exitCode: 1, stderr }).type;
    expect(tag("cannot create 'p/x': out of space")).toBe('no-space');
    expect(tag("cannot unmount '/x': pool or dataset is busy")).toBe('busy');
    expect(tag("cannot unmount '/x': unmount failed")).toBe('busy');
    expect(tag("cannot destroy 'p/x': filesystem has dependent clones\nuse '-R' to ...")).toBe('busy');
    expect(tag("cannot open 'p/x': dataset does not exist")).toBe('failed');
  });
});

describe('what a killed owner left running', () => {
  it('is a zfs that changes something in the dataset, by whatever it is run', () => {
    expect(isChanging(['zfs', 'destroy', '-r', 'p/s/result/x'], 'p/s')).toBe(true);
    expect(isChanging(['/sbin/zfs', 'unmount', 'p/s'], 'p/s')).toBe(true);
    expect(isChanging(['/bin/sh', '/usr/bin/zfs', 'snapshot', '-r', 'p/s/result/x@snap'], 'p/s')).toBe(true);
    expect(isChanging(['zfs', 'list', '-r', 'p/s'], 'p/s')).toBe(false);
    expect(isChanging(['zfs', 'destroy', 'p/sister'], 'p/s')).toBe(false);
    expect(isChanging(['vi', 'zfs.txt', 'destroy', 'p/s'], 'p/s')).toBe(false);
  });

  it('is waited for, and named if it does not end', async () => {
    await using dir = await tempDir();
    const [program, gate] = [join(dir.path, 'zfs'), join(dir.path, 'gate')];
    expectOk(await runCommand('mkfifo', [gate]));
    await writeFile(program, `#!/bin/sh\nread line <'${gate}'\n`);
    await chmod(program, 0o755);
    const left = runCommand(program, ['destroy', '-r', 'pool-of-a-test/store/result/x']);
    const busy = expectErr(await waitForRunning('pool-of-a-test/store', { timeoutMs: 0 }));
    expect(busy).toMatchObject({ type: 'busy', message: expect.stringContaining('destroy -r') });
    const waiting = waitForRunning('pool-of-a-test/store', { timeoutMs: 60_000 });
    await writeFile(gate, 'go on\n');
    expectOk(await waiting);
    expectOk(await left);
  });
});
