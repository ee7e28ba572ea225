/** A builder makes base images as a user of the Mac, and builds from them. Started by base-image.test.ts. */
import assert from 'node:assert/strict';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { it } from 'node:test';
import {
  type BaseImageRequest,
  type BaseImages,
  type Builder,
  openBuilder,
  parseSpec,
  type StepKey,
  toHostPath,
} from '@snapstep/core';
import { memoryStore, scriptedFetcher } from '@snapstep/core/testing';
import { collectLog, expectErr, expectOk } from '@snapstep/test-support';
import { openMacosSandbox } from '../../src/index.ts';
import { placement } from './bind-store.ts';
import { user } from './suite-place.ts';

const PREFIX = '/opt/homebrew';
const FILL = `id -un; pwd
echo "export FROM_PROFILE=$ROUND" > ~/.snapstep_profile.sh
mkdir -p ${PREFIX}/bin
printf '#!/bin/sh\\necho tool %s\\n' "$ROUND" > ${PREFIX}/bin/tool
chmod +x ${PREFIX}/bin/tool`;
const SPEC = '((from mac) (run (network host) (shell "tool; echo profile $FROM_PROFILE; touch ~/x")))';

interface Mac extends AsyncDisposable {
  readonly builder: Builder;
  readonly images: BaseImages;
}

async function openMac(): Promise<Mac> {
  const directory = await mkdtemp('/Volumes/image-');
  await chmod(directory, 0o755);
  const dir = (name: string) => toHostPath(join(directory, name));
  const options = { users: [user], homebrewPrefix: toHostPath(PREFIX), stateDir: dir('sandbox') };
  const sandbox = expectOk(await openMacosSandbox(options));
  // What a user has in /tmp does not outlive a step.
  process.env.TMPDIR = directory;
  // A memory store places volumes by links, and a home directory has to be a mount.
  const store = Object.assign(await memoryStore(), { placement });
  const fetcher = scriptedFetcher({});
  const builder = expectOk(await openBuilder({ store, sandbox, fetcher, stateDir: dir('builder') }));
  assert.ok(builder.baseImages);
  return {
    builder,
    images: builder.baseImages,
    async [Symbol.asyncDispose]() {
      for (const part of [builder, fetcher, store, sandbox]) await part[Symbol.asyncDispose]();
      await rm(directory, { recursive: true });
    },
  };
}

async function make(images: BaseImages, round: number, more: Partial<BaseImageRequest> = {}) {
  const output = collectLog();
  const env = { ROUND: `${round}` };
  const made = await images.make({
    name: 'mac',
    user: { name: user.name },
    command: FILL,
    env,
    output,
    ...more,
  });
  return { made, text: output.text() };
}

async function build(builder: Builder): Promise<{ readonly key: StepKey; readonly text: string }> {
  const log = collectLog();
  const built = await builder.build({
    spec: expectOk(parseSpec(SPEC)),
    onEvent: async (event) => {
      if (event.type === 'step-output') await log.write(event.chunk);
    },
  });
  await using result = expectOk(built);
  return { key: result.key, text: log.text() };
}

it('are filled by the user in his home directory, and steps find Homebrew and the profile', async () => {
  await using mac = await openMac();
  const { made, text } = await make(mac.images, 1);
  expectOk(made);
  assert.equal(text, `${user.name}\n/Users/${user.name}\n`);
  assert.equal((await build(mac.builder)).text, 'tool 1\nprofile 1\n');
});

it('change the keys of what is built from them when they are made again (M1)', async () => {
  await using mac = await openMac();
  const first = expectOk((await make(mac.images, 1)).made);
  const old = await build(mac.builder);
  const second = expectOk((await make(mac.images, 2)).made);
  assert.notEqual(second.digest, first.digest);
  const fresh = await build(mac.builder);
  assert.equal(fresh.text, 'tool 2\nprofile 2\n');
  assert.notEqual(fresh.key, old.key);
  await using _old = expectOk(await mac.builder.open(old.key));
});

it('stay as they were when a script fails, and nothing stays mounted', async () => {
  await using mac = await openMac();
  const first = expectOk((await make(mac.images, 1)).made);
  const { made } = await make(mac.images, 2, { command: 'touch ~/half; exit 4' });
  assert.deepEqual(expectErr(made), {
    type: 'command-failed',
    exit: { type: 'exited', code: 4 },
    message: 'the command exited with 4',
  });
  assert.deepEqual(expectOk(await mac.images.list()), [first]);
  assert.equal((await build(mac.builder)).text, 'tool 1\nprofile 1\n');
});

it('are not made by a user that the sandbox does not have', async () => {
  await using mac = await openMac();
  const { made } = await make(mac.images, 1, { user: { name: 'nobody' } });
  assert.deepEqual(expectErr(made), {
    type: 'unknown-user',
    message: 'the macos sandbox knows no user "nobody"',
  });
  assert.deepEqual(expectOk(await mac.images.list()), []);
});
