import { statfs } from 'node:fs/promises';
import { err, ok } from 'neverthrow';
import type { StoreError } from '../../backend/failures.ts';
import type { Volume, Volumes } from '../../backend/volume.ts';
import { hostTool } from '../host-tool.ts';
import { keeps, keepsEqual } from '../promise.ts';
import { isRoot } from '../store/scene.ts';
import { settled } from './outcomes.ts';
import { sandboxPromises as promises } from './promises.ts';
import { describeRan, type Ran, type SandboxTest } from './scene.ts';

/** The builder makes room, and tries once more, where it is told that there is none. */
export function fullDiskTests(test: SandboxTest): void {
  test('answers `no-space` where there is no room to mount a volume', async (scene) => {
    const volumes = mapVolumes(await scene.volumes(), unmountable);
    const ran = await scene.run('echo started', { volumes });
    keeps(promises.noSpace, isNoSpace(ran), describeRan(ran));
    keepsEqual(promises.noSpace, ran.text, '');
    const account = await settled(
      scene.sandbox.account({ uid: scene.user.uid, gid: scene.user.gid }, volumes),
    );
    // Not every sandbox has to look into the volumes for that.
    keeps(promises.noSpace, account.isOk() || account.error.type === 'no-space', account);
    await scene.expectUsable();
  });
  test('answers `no-space` where there is no room to mount a cache', async (scene) => {
    const mounts = [{ volume: unmountable(await scene.cache()), target: `${scene.directory}/cache` }];
    const ran = await scene.run('echo started', { mounts });
    keeps(promises.noSpace, isNoSpace(ran), describeRan(ran));
    await scene.expectUsable();
  });
  test('answers `no-space` where a volume has no room for a mount point (as root on Linux)', async (scene) => {
    if (!isRoot || process.platform !== 'linux') return;
    const volumes = mapVolumes(await scene.volumes(), crowded);
    const mounts = [{ volume: await scene.cache(), target: `${scene.directory}/deep/cache` }];
    const ran = await scene.run(`echo kept >${scene.directory}/deep/cache/file`, { volumes, mounts });
    // A sandbox that needs no mount point runs the command.
    keeps(promises.noSpace, ran.result.isOk() || isNoSpace(ran), describeRan(ran));
    await scene.expectUsable();
  });
}

function mapVolumes(volumes: Volumes, change: (volume: Volume) => Volume): Volumes {
  return new Map([...volumes].map(([name, volume]) => [name, change(volume)]));
}

function unmountable({ name }: Volume): Volume {
  const full: StoreError = { type: 'no-space', message: 'there is no room for a mount point' };
  return { name, mount: async () => err(full) };
}

/** The same files, on a disk that has an inode for each of them and no other. */
function crowded(volume: Volume): Volume {
  return {
    name: volume.name,
    async mount() {
      const mounted = await volume.mount();
      if (mounted.isErr()) return mounted;
      const { path } = mounted.value;
      await coverWithFullCopy(path);
      let isMounted = true;
      return ok({
        path,
        async [Symbol.asyncDispose]() {
          if (isMounted) await hostTool('umount', ['-n', path]);
          isMounted = false;
          await mounted.value[Symbol.asyncDispose]();
        },
      });
    },
  };
}

async function coverWithFullCopy(path: string): Promise<void> {
  const staged = `${path}.full`;
  await hostTool('mkdir', [staged]);
  await hostTool('mount', ['-n', '-t', 'tmpfs', '-o', 'mode=0755', 'snapstep-suite', staged]);
  await hostTool('cp', ['-aT', path, staged]);
  const { files, ffree } = await statfs(staged);
  await hostTool('mount', ['-n', '-o', `remount,nr_inodes=${files - ffree}`, staged]);
  await hostTool('mount', ['-n', '--bind', staged, path]);
  await hostTool('umount', ['-n', staged]);
  await hostTool('rmdir', [staged]);
}

function isNoSpace({ result }: Ran): boolean {
  return result.isErr() && result.error.type === 'no-space';
}
