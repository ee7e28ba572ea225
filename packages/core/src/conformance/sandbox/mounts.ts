import assert from 'node:assert/strict';
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Volume } from '../../backend/volume.ts';
import { keeps, keepsEqual } from '../promise.ts';
import { describeTree } from '../store/describe-tree.ts';
import { mounted } from '../store/scene.ts';
import { broken } from './accounts.ts';
import { sandboxPromises as promises } from './promises.ts';
import { describeRan, type SandboxTest, UP } from './scene.ts';

/** Cache volumes in the step's world. */
export function mountTests(test: SandboxTest): void {
  test('gives a command what is in a cache, and keeps what it writes there (M12)', async (scene) => {
    const volume = await withFile(await scene.cache());
    const mounts = [{ volume, target: `${scene.directory}/cache` }];
    const promise = promises.cache;
    const script = `cd ${scene.directory}/cache; cat file; echo new >made; rm file`;
    keepsEqual(promise, await scene.outputOf(script, { mounts, promise }), 'text');
    const names = await mounted(volume, (path) => readdir(path));
    keepsEqual(promises.cache, names, ['made']);
  });
  test('does not let a command change a cache that is mounted read-only (M13)', async (scene) => {
    const volume = await withFile(await scene.cache());
    const before = await mounted(volume, describeTree);
    const target = `${scene.directory}/cache`;
    const attempts = [
      'echo x >file',
      'echo x >made',
      'rm file',
      'chmod 777 .',
      'mv file other',
      'mkdir dir',
      'touch file',
    ];
    for (const attempt of attempts) {
      const ran = await scene.run(`cd ${target} && cat file && ${attempt}`, {
        mounts: [{ volume, target, readOnly: true }],
      });
      keeps(promises.readOnly, ran.text.startsWith('text'), describeRan(ran));
      const succeeded =
        ran.result.isOk() && ran.result.value.type === 'exited' && ran.result.value.code === 0;
      keeps(promises.readOnly, !succeeded, `${attempt}: ${describeRan(ran)}`);
    }
    keepsEqual(promises.readOnly, await mounted(volume, describeTree), before);
  });
  test('runs programs that lie in a cache (R10)', async (scene) => {
    const volume = await scene.cache();
    await mounted(volume, async (path) => {
      await writeFile(join(path, 'program'), '#!/bin/sh\necho ran\n');
      await chmod(join(path, 'program'), 0o755);
    });
    const target = `${scene.directory}/cache`;
    for (const readOnly of [false, true]) {
      const [promise, mounts] = [promises.cachePrograms, [{ volume, target, readOnly }]];
      keepsEqual(promise, await scene.outputOf(`${target}/program`, { mounts, promise }), 'ran\n');
    }
  });
  test('mounts one cache in another, whatever the order of the request', async (scene) => {
    const [outer, inner] = [await scene.cache(), await withFile(await scene.cache())];
    const mounts = [
      { volume: outer, target: `${scene.directory}/cache` },
      { volume: inner, target: `${scene.directory}/cache/in/ner` },
    ];
    for (const order of [mounts, mounts.toReversed()]) {
      const promise = promises.nested;
      const script = `cd ${scene.directory}/cache; cat in/ner/file && touch here`;
      keepsEqual(promise, await scene.outputOf(script, { mounts: order, promise }), 'text');
    }
    const names = await mounted(outer, (path) => readdir(path));
    keepsEqual(promises.noTrace, names, ['here']);
  });
  test('mounts caches three deep, and beside targets that begin alike', async (scene) => {
    const at = (target: string) => `${scene.directory}/${target}`;
    const targets = ['cache', 'cache/in', 'cache/in/deep', 'cache-2', 'cache/in-2'].map(at);
    const mounts = await Promise.all(
      targets.map(async (target) => ({ volume: await withFile(await scene.cache(), target), target })),
    );
    const script = 'for at do cat "$at/file" 2>/dev/null || printf none; echo; done';
    for (const order of [mounts, mounts.toReversed()]) {
      const argv = ['/bin/sh', '-c', script, 'sh', ...targets] as const;
      const seen = (await scene.outputOf(argv, { mounts: order })).split('\n').slice(0, -1);
      keepsEqual(promises.nested, seen.slice(0, 3), targets.slice(0, 3));
      keepsEqual(promises.targets, seen.slice(3), targets.slice(3));
    }
  });
  test('hides what lies at a target, and gives it back unharmed', async (scene) => {
    await scene.outputOf(`mkdir -p ${scene.directory}/full; echo old >${scene.directory}/full/old`);
    const before = await scene.tree();
    const mounts = [{ volume: await withFile(await scene.cache()), target: `${scene.directory}/full` }];
    keepsEqual(
      promises.hidden,
      await scene.outputOf(`ls ${scene.directory}/full; rm ${scene.directory}/full/*`, { mounts }),
      'file\n',
    );
    keepsEqual(promises.hidden, await scene.tree(), before);
  });
  test('never leaves the volumes by a link in a target (C2)', async (scene) => {
    const outside = await mkdtemp(join(tmpdir(), 'snapstep-suite-'));
    try {
      await scene.outputOf(`mkdir -p ${scene.directory}; ln -s ${UP} ${scene.directory}/up`);
      const target = `${scene.directory}/up${outside}/escaped`;
      await scene.run('true', { mounts: [{ volume: await scene.cache(), target }] });
      keepsEqual(promises.inside, await readdir(outside), []);
    } finally {
      await rm(outside, { recursive: true });
    }
  });
  test('fails with the reason where a volume cannot be mounted, and unmounts the others (Z13)', async (scene) => {
    const ran = await scene.run('echo started', { volumes: broken(await scene.volumes()) });
    keeps(promises.unmountable, ran.result.isErr() && ran.result.error.type === 'failed', describeRan(ran));
    const volume = {
      name: (await scene.cache()).name,
      mount: [...broken(await scene.volumes()).values()][0]?.mount,
    };
    if (volume.mount === undefined) return;
    const mounts = [
      { volume: await scene.cache(), target: `${scene.directory}/good` },
      { volume: volume as Volume, target: `${scene.directory}/bad` },
    ];
    const second = await scene.run('echo started', { mounts });
    keeps(promises.unmountable, second.result.isErr(), describeRan(second));
    keepsEqual(promises.unmountable, [ran.text, second.text], ['', '']);
  });
}

async function withFile(volume: Volume, text = 'text'): Promise<Volume> {
  await mounted(volume, (path) => writeFile(join(path, 'file'), text));
  const kept = await mounted(volume, (path) => readFile(join(path, 'file'), 'utf8'));
  assert.equal(kept, text, 'the place gives volumes that keep no files');
  return volume;
}
