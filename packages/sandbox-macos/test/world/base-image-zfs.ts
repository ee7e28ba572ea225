/** `snapstep base-image` on two pools, as a Mac would have them. Started by guest/base-image.test.ts. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { after, before, it } from 'node:test';
import { type ZfsPool, zfsPool } from '@snapstep/test-support';
import { execa } from 'execa';
import { user } from './suite-place.ts';

const MAIN = resolve(import.meta.dirname, '../../../cli/src/main.ts');
const PREFIX = '/opt/homebrew';
const SCRIPT = `#!/usr/bin/env bash
set -e
id -un; pwd
echo "export FROM_PROFILE=$ROUND" > ~/.snapstep_profile.sh
mkdir -p ${PREFIX}/bin
printf '#!/bin/sh\\necho tool %s\\n' "$ROUND" > ${PREFIX}/bin/tool
chmod +x ${PREFIX}/bin/tool
if [ "$ROUND" = wait ]; then echo waiting; sleep 1000; fi
[ "$ROUND" != bad ]
`;

let here: ZfsPool;
let there: ZfsPool;
let directory: string;
let first: string;
let old: string;

before(async () => {
  [here, there] = [await zfsPool(), await zfsPool()];
  for (const { name } of [here, there]) await execa('zfs', ['create', `${name}/store`]);
  directory = await mkdtemp('/Volumes/image-');
  await writeFile(join(directory, 'fill.sh'), SCRIPT);
  await writeFile(
    join(directory, 'build.spec'),
    '((from mac) (run (network host) (shell "tool; echo profile $FROM_PROFILE; echo x > ~/x")))',
  );
});

after(async () => {
  for (const pool of [here, there]) await pool[Symbol.asyncDispose]();
});

function start(pool: ZfsPool, args: readonly string[]) {
  return execa(process.execPath, [MAIN, ...args], {
    cwd: directory,
    reject: false,
    env: {
      SNAPSTEP_STORE: `zfs:${pool.name}/store`,
      SNAPSTEP_SANDBOX: 'macos',
      SNAPSTEP_MACOS_USER: `${user.name}:${user.uid}:${user.gid}`,
      SNAPSTEP_HOMEBREW_PREFIX: PREFIX,
      XDG_STATE_HOME: join('/Volumes', 'state'),
    },
  });
}

async function snapstep(pool: ZfsPool, ...args: readonly string[]) {
  const { exitCode, stdout, stderr } = await start(pool, args);
  return { exitCode, stdout, stderr };
}

function create(round: string): readonly string[] {
  return ['base-image', 'create', 'mac', '--script', 'fill.sh', '--env', `ROUND=${round}`];
}

const BUILD = ['build', '-f', 'build.spec', '--progress', 'plain'];

async function digest(pool: ZfsPool): Promise<string> {
  const { stdout } = await snapstep(pool, 'base-image', 'ls', '--json');
  return stdout === '' ? '' : JSON.parse(stdout).digest;
}

it('create makes an image as the user, and a spec finds it', async () => {
  const made = await snapstep(here, ...create('1'));
  assert.deepEqual(
    { ...made, stdout: '' },
    { exitCode: 0, stdout: '', stderr: `${user.name}\n/Users/${user.name}` },
  );
  assert.match(made.stdout, /^sha256:[0-9a-f]{64}$/);
  first = made.stdout;
  assert.equal(await digest(here), first);
  const built = await snapstep(here, ...BUILD);
  assert.match(built.stderr, /\| tool 1\n.*\| profile 1\n/);
  old = built.stdout;
});

it('create again gives another digest and other keys, and the old result stays readable (M1)', async () => {
  const made = await snapstep(here, ...create('2'));
  assert.equal(made.exitCode, 0, made.stderr);
  assert.notEqual(made.stdout, first);
  first = made.stdout;
  const built = await snapstep(here, ...BUILD);
  assert.match(built.stderr, /\| tool 2\n.*\| profile 2\n/);
  assert.notEqual(built.stdout, old);
  assert.deepEqual(await snapstep(here, 'export', old, 'old'), { exitCode: 0, stdout: '', stderr: '' });
  assert.deepEqual((await readdir(join(directory, 'old'))).toSorted(), ['brew', 'home']);
  assert.match(await readFile(join(directory, 'old/brew/bin/tool'), 'utf8'), /tool 1/);
});

it('a script that fails, or that is stopped, changes nothing', async () => {
  const failed = await snapstep(here, ...create('bad'));
  assert.equal(failed.exitCode, 1);
  assert.match(failed.stderr, /the script failed, and nothing of it is kept: the command exited with 1$/);
  const stopped = start(here, create('wait'));
  for await (const line of stopped.iterable({ from: 'stderr' })) {
    if (line === 'waiting') stopped.kill('SIGINT');
  }
  assert.equal((await stopped).exitCode, 130);
  assert.equal(await digest(here), first);
});

it('doctor finds nothing of it left, and no problem', async () => {
  const { exitCode, stdout } = await snapstep(here, 'doctor', '--json');
  const found = new Map(stdout.split('\n').map((line) => [JSON.parse(line).name, JSON.parse(line)]));
  for (const name of ['zfs-leftovers', 'zfs-mounts', 'zfs-clones', 'rows-without-snapshots', 'macos-users']) {
    assert.equal(found.get(name).state, 'ok', JSON.stringify(found.get(name)));
  }
  assert.equal(found.get('index').found, '4 steps are saved');
  assert.equal(exitCode, 0, stdout);
});

it('export and import move it to another pool with its digest, and so with its keys', async () => {
  const exported = await snapstep(here, 'base-image', 'export', 'mac', 'mac.image');
  assert.deepEqual(exported, { exitCode: 0, stdout: '', stderr: '' });
  const imported = await snapstep(there, 'base-image', 'import', 'mac', 'mac.image');
  assert.deepEqual(imported, { exitCode: 0, stdout: first, stderr: '' });
  const [mine, theirs] = [await snapstep(here, ...BUILD), await snapstep(there, ...BUILD)];
  assert.equal(theirs.exitCode, 0, theirs.stderr);
  assert.equal(theirs.stdout, mine.stdout);
});

it('rm waits until no step needs the image', async () => {
  assert.equal((await snapstep(there, 'base-image', 'rm', 'mac')).exitCode, 3);
  assert.equal((await snapstep(there, 'prune')).exitCode, 0);
  assert.equal((await snapstep(there, 'base-image', 'rm', 'mac')).exitCode, 0);
  assert.equal(await digest(there), '');
});
