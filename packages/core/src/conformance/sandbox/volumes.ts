import { keeps, keepsEqual } from '../promise.ts';
import { sandboxPromises as promises } from './promises.ts';
import { describeRan, type SandboxTest } from './scene.ts';

/** What the command did, and nothing else, is in the volumes when `run` settles. */
export function volumeTests(test: SandboxTest): void {
  test('changes nothing where the command changes nothing', async (scene) => {
    const before = await scene.tree();
    await scene.outputOf('true');
    keepsEqual(promises.did, await scene.tree(), before);
    await scene.run('exit 1');
    keepsEqual(promises.did, await scene.tree(), before);
  });
  test('leaves no trace of mount points', async (scene) => {
    const before = await scene.tree();
    const mounts = [
      { volume: await scene.cache(), target: `${scene.directory}/one` },
      { volume: await scene.cache(), target: `${scene.directory}/deep/er/two` },
      { volume: await scene.cache(), target: `${scene.elsewhere}-cache` },
    ];
    await scene.outputOf('true', { mounts });
    keepsEqual(promises.noTrace, await scene.tree(), before);
    await scene.run('exit 1', { mounts });
    keepsEqual(promises.noTrace, await scene.tree(), before);
    const aborted = await scene.run('true', { mounts, signal: abortSoon() });
    keepsEqual(promises.noTrace, await scene.tree(), before);
    if (aborted.result.isErr()) keepsEqual(promises.cancelled, aborted.result.error.type, 'cancelled');
  });
  test('settles only when every volume is unmounted, however long that takes', async (scene) => {
    const mounts = [
      { volume: await scene.cache(), target: `${scene.directory}/outer` },
      { volume: await scene.cache(), target: `${scene.directory}/outer/inner` },
    ];
    scene.unmountSlowly();
    await scene.outputOf('true', { mounts });
    await scene.run('exit 1', { mounts });
    const aborted = await scene.run('true', { mounts, signal: AbortSignal.abort('enough') });
    keeps(promises.cancelled, aborted.result.isErr(), describeRan(aborted));
  });
  test('keeps what a command made in the directory that a mount point was made in', async (scene) => {
    const mounts = [{ volume: await scene.cache(), target: `${scene.directory}/deep/cache` }];
    await scene.outputOf(`echo kept >${scene.directory}/deep/kept`, { mounts });
    keepsEqual(
      promises.did,
      await scene.outputOf(`cat ${scene.directory}/deep/kept; ls ${scene.directory}/deep`),
      'kept\nkept\n',
    );
  });
  test('has everything that the command did in the volumes, also where it failed', async (scene) => {
    const ran = await scene.run(
      `mkdir ${scene.directory}; echo one >${scene.directory}/file; ln -s file ${scene.directory}/link; exit 5`,
    );
    keeps(promises.exited, ran.result.isOk(), describeRan(ran));
    keepsEqual(promises.did, await scene.outputOf(`cat ${scene.directory}/link`), 'one\n');
    const name = scene.sandbox.locate(scene.directory)?.path.slice(1) ?? scene.directory;
    const added = (await scene.tree()).filter((line) => line.includes(`"${name}`));
    keepsEqual(promises.did, { filesAdded: added.length }, { filesAdded: 3 });
  });
}

function abortSoon(): AbortSignal {
  const controller = new AbortController();
  setTimeout(() => controller.abort('enough'), Math.random() * 40);
  return controller.signal;
}
