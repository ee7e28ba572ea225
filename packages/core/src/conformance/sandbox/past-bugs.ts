import { lstat, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Volume } from '../../backend/volume.ts';
import { keeps, keepsEqual } from '../promise.ts';
import { mounted } from '../store/scene.ts';
import { escapeTests } from './past-escapes.ts';
import { sandboxPromises as promises } from './promises.ts';
import { codeOf, describeRan, type SandboxScene, type SandboxTest } from './scene.ts';

/**
 * What went wrong in other sandboxes, one test each, by the id of the bug. Where a test of another topic is
 * about the same, its title has that id.
 */
export function pastBugTests(test: SandboxTest): void {
  escapeTests(test);
  // OBuilder died of the broken pipe, or told of that in place of how `tar` had ended.
  test('tells how a command ended that did not read its input (K14, X5)', async (scene) => {
    for (const code of [0, 3]) {
      const stdin = new Blob([Buffer.alloc(8_000_000, 'x')]).stream();
      const ran = await scene.run(`echo broken; exit ${code}`, { stdin });
      const seen = ran.result.isOk() ? codeOf(ran.result.value) : describeRan(ran);
      keepsEqual(promises.exited, seen, code);
      keepsEqual(promises.whole, ran.text, 'broken\n');
    }
  });
  // Tables of mounts were cut at blanks, and options at commas.
  test('mounts at targets with blanks, commas, colons and letters of any kind (T3)', async (scene) => {
    const promise = promises.targets;
    const volume = await withFile(await scene.cache());
    for (const name of ['two words', 'a,b', 'a:b', 'größe', "it's", '$HOME', 'a=b', '\\040']) {
      const target = `${scene.directory}/${name}`;
      const text = await scene.outputOf(['/bin/sh', '-c', 'cd "$0" && cat file', target], {
        mounts: [{ volume, target }],
        secrets: [{ target: `${target}-secret`, value: Buffer.from('sw0rdfish') }],
        promise,
      });
      keepsEqual(promise, text, 'text');
    }
  });
  // https://github.com/ocurrent/obuilder/commit/ab58e15
  test('keeps no descriptors of commands that have ended (T6)', async (scene) => {
    await manyCommands(scene, 5);
    const before = (await readdir('/dev/fd')).length;
    await manyCommands(scene, 30);
    const more = (await readdir('/dev/fd')).length - before;
    keeps(promises.leftNothing, more < 5, `${more} more open descriptors`);
  });
  // What a command leaves to process 1 is nobody's child, and a limit counts it until somebody waits for it.
  test('lets a command have many orphans that end, within a limit on processes (R18)', async (scene) => {
    const limits = scene.sandbox.enforces.includes('pids') ? { pids: 60 } : {};
    const script = 'i=0; while [ $i -lt 150 ]; do (true &); i=$((i+1)); done; echo fine';
    const promise = promises.withinLimits;
    keepsEqual(promise, await scene.outputOf(script, { limits, promise }), 'fine\n');
  });
  // OBuilder gave 1,024, and a build of week 32 ran out of them.
  test('lets a command open as many files as this process may, up to 65,536 (R4, R5)', async (scene) => {
    const limits = await readFile('/proc/self/limits', 'utf8').catch(() => '');
    const hard = Number(/Max open files\s+\S+\s+(\d+)/.exec(limits)?.[1] ?? 1024);
    const seen = (await scene.outputOf('ulimit -n')).trim();
    const isEnough = seen === 'unlimited' || Number(seen) >= Math.min(65_536, hard);
    keeps(promises.openFiles, isEnough, `${seen} of ${hard}`);
  });
  // https://github.com/moby/buildkit/commit/1ee85bf
  test("makes directories with modes of its own, whatever the host's umask (R20)", async (scene) => {
    const umask = process.umask();
    try {
      for (const mask of [0o077, 0]) {
        process.umask(mask);
        const directory = `${scene.directory}/${mask}`;
        await scene.outputOf('touch file', { cwd: `${directory}/made` });
        const modes = [directory, `${directory}/made`, `${directory}/made/file`].map((path) =>
          scene.look(path, async (at) => ((await lstat(at)).mode & 0o777).toString(8)),
        );
        keepsEqual(promises.umask, await Promise.all(modes), ['755', '755', '644']);
      }
    } finally {
      process.umask(umask);
    }
  });
  // A build wrote the host's name servers: https://github.com/ocurrent/obuilder/releases/tag/v0.3
  test("cannot change the host's name servers with the host's network (R3)", async (scene) => {
    const file = '/etc/resolv.conf';
    const before = await readFile(file).catch(() => undefined);
    await scene.run(`echo '# suite' >>${file}; true`, { network: 'host' });
    const after = await readFile(file).catch(() => undefined);
    if (before !== undefined && after?.equals(before) === false) await writeFile(file, before);
    keepsEqual(promises.hostUnchanged, after?.toString(), before?.toString());
  });
}

/** With all that a request can have. Some are aborted. */
async function manyCommands(scene: SandboxScene, count: number): Promise<void> {
  const volume = await scene.cache();
  for (let i = 0; i < count; i += 1) {
    const controller = new AbortController();
    if (i % 5 === 0) setTimeout(() => controller.abort('enough'), i);
    await scene.run('cat; echo x', {
      mounts: [{ volume, target: `${scene.directory}/cache` }],
      secrets: [{ target: `${scene.directory}/secret`, value: Buffer.from('sw0rdfish') }],
      stdin: new Blob(['x']).stream(),
      signal: controller.signal,
    });
  }
}

async function withFile(volume: Volume): Promise<Volume> {
  await mounted(volume, (path) => writeFile(join(path, 'file'), 'text'));
  return volume;
}
