import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { BaseImageRequest, BaseImages } from '@snapstep/core';
import { collectLog, expectErr, expectOk, needs, tempDir } from '@snapstep/test-support';
import { execa } from 'execa';
import { expect, it } from 'vitest';
import { build, type MacBuilder, mountsOf, openMacBuilder, users } from './support/mac-builder.ts';

const MAIN = resolve(import.meta.dirname, '../../../cli/src/main.ts');
const PREFIX = '/opt/homebrew';
const [user] = users;
const FILL = `id -un; pwd
echo "export FROM_PROFILE=$ROUND" > ~/.snapstep_profile.sh
mkdir -p ${PREFIX}/bin
printf '#!/bin/sh\\necho tool %s\\n' "$ROUND" > ${PREFIX}/bin/tool
chmod +x ${PREFIX}/bin/tool`;
const SPEC = '((from mac) (run (network host) (shell "tool; echo profile $FROM_PROFILE; echo x > ~/x")))';

function imagesOf({ builder }: MacBuilder): BaseImages {
  if (builder.baseImages === undefined) throw new Error('the ZFS store holds base images');
  return builder.baseImages;
}

async function make(mac: MacBuilder, round: number, more: Partial<BaseImageRequest> = {}) {
  const output = collectLog();
  const request = { name: 'mac', user: { name: user.name }, command: FILL, env: { ROUND: `${round}` } };
  const made = await imagesOf(mac).make({ ...request, output, ...more });
  return { made, text: output.text() };
}

async function buildKey(mac: MacBuilder) {
  const { result, log } = await build(mac, SPEC);
  await using built = expectOk(result);
  return { key: built.key, log };
}

async function digests(mac: MacBuilder): Promise<readonly string[]> {
  return expectOk(await imagesOf(mac).list()).map(({ digest }) => digest);
}

needs('root', 'openzfs')('base images on OpenZFS, with the tools of a Mac emulated', () => {
  it('give other keys when they are made again, and the old results stay readable (M1)', async () => {
    await using mac = await openMacBuilder();
    const first = await make(mac, 1);
    expect(first.text).toBe(`${user.name}\n/Users/${user.name}\n`);
    const old = await buildKey(mac);
    expect(old.log).toContain('tool 1\nprofile 1\n');
    const second = await make(mac, 2);
    expect(expectOk(second.made).digest).not.toBe(expectOk(first.made).digest);
    const fresh = await buildKey(mac);
    expect(fresh.log).toContain('tool 2\nprofile 2\n');
    expect(fresh.key).not.toBe(old.key);
    await using _old = expectOk(await mac.builder.open(old.key));
    expect(await digests(mac)).toEqual([expectOk(second.made).digest]);
  });

  it('stay as they were when a script fails or is stopped, and nothing stays mounted', async () => {
    await using mac = await openMacBuilder();
    const before = expectOk((await make(mac, 1)).made);
    const failed = await make(mac, 2, { command: 'touch ~/half; exit 4' });
    expect(expectErr(failed.made)).toMatchObject({ type: 'command-failed', exit: { code: 4 } });
    const stop = new AbortController();
    const stopped = await make(mac, 3, {
      command: 'echo ready; sleep 1000',
      signal: stop.signal,
      output: { write: async () => stop.abort('enough') },
    });
    expect(expectErr(stopped.made)).toMatchObject({ type: 'cancelled', reason: 'enough' });
    expect(await digests(mac)).toEqual([before.digest]);
    expect(await mountsOf(mac.dataset)).toEqual([]);
  });

  it('go to another pool with their digest, and so with their keys, and go when no step needs them', async () => {
    await using here = await openMacBuilder();
    await using there = await openMacBuilder();
    const image = expectOk((await make(here, 1)).made);
    const body = expectOk(await imagesOf(here).send('mac'));
    expect(expectOk(await imagesOf(there).receive('mac', body))).toEqual(image);
    expect((await buildKey(there)).key).toBe((await buildKey(here)).key);
    expect(expectErr(await imagesOf(there).remove('mac'))).toMatchObject({ type: 'busy' });
    expectOk(await there.builder.prune({}));
    expectOk(await imagesOf(there).remove('mac'));
    expect(await digests(there)).toEqual([]);
  });

  it('are made by snapstep base-image create, and doctor finds nothing wrong (Z8, Z15)', async () => {
    // It makes the Mac and its users, and leaves the pool to the command line.
    await using mac = await openMacBuilder();
    const dataset = `${mac.dataset.split('/')[0]}/cli`;
    await execa('zfs', ['create', dataset]);
    await using dir = await tempDir();
    await writeFile(join(dir.path, 'fill.sh'), `#!/usr/bin/env bash\nset -e\n${FILL}\n`);
    const env = {
      SNAPSTEP_STORE: `zfs:${dataset}`,
      SNAPSTEP_SANDBOX: 'macos',
      SNAPSTEP_MACOS_USER: `${user.name}:${user.uid}:${user.gid}`,
      SNAPSTEP_HOMEBREW_PREFIX: PREFIX,
      XDG_STATE_HOME: '/var/lib/snapstep-test',
    };
    const snapstep = (...args: readonly string[]) =>
      execa(process.execPath, [MAIN, ...args], { cwd: dir.path, env, reject: false });
    const args = ['base-image', 'create', 'mac', '--script', 'fill.sh', '--env', 'ROUND=1'];
    const made = await snapstep(...args);
    expect(made).toMatchObject({ exitCode: 0, stderr: `${user.name}\n/Users/${user.name}` });
    expect(made.stdout).toMatch(/^sha256:[0-9a-f]{64}$/);
    const doctor = await snapstep('doctor', '--json');
    const found = doctor.stdout.split('\n').map((line) => JSON.parse(line));
    const names = ['zfs-leftovers', 'zfs-mounts', 'zfs-clones', 'rows-without-snapshots', 'macos-users'];
    const wrong = found.filter(({ name, state }) => names.includes(name) && state !== 'ok');
    expect(wrong).toEqual([]);
    expect(doctor.exitCode).toBe(0);
  });
});
