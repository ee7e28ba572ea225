import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isStepKey, parseMountPoints } from '@snapstep/core';
import { type Check, fine, notApplicable, warning } from '../check.ts';
import { ownerOf } from '../owner.ts';
import type { Scene } from '../scene.ts';
import { storeOption } from '../store-option.ts';

/** Writable copies of steps that were killed. */
export const leftoverCopies: Check = {
  name: 'leftover-copies',
  async look(scene) {
    const { store } = scene;
    if (store.kind === 'zfs') return notApplicable('see zfs-leftovers');
    const pid = await ownerOf(store.path, scene);
    if (pid !== undefined) return fine(`what there is belongs to process ${pid}`);
    const attempts = (await names(join(store.path, 'result'))).filter((name) => !isStepKey(name));
    const sessions = await names(join(store.path, 'temporary'));
    const copies = await Promise.all(sessions.map((name) => names(join(store.path, 'temporary', name))));
    const count = attempts.length + copies.flat().length;
    if (count === 0) return fine('none');
    return warning(
      `${count} writable copies of steps that were killed take space`,
      `snapstep ls ${storeOption(scene)}`,
    );
  },
};

/** Containers that go on though whoever started them was killed. */
export const leftoverContainers: Check = {
  name: 'leftover-containers',
  async look(scene) {
    if (scene.sandbox !== 'runc' || scene.platform !== 'linux')
      return notApplicable('there are no containers');
    const directory = scene.state.sandbox;
    const identity = (await scene.read(join(directory, 'identity')))?.trim();
    if (identity === undefined) return fine('none was ever started');
    const pid = await ownerOf(directory, scene);
    const processes = await processesBelow(`snapstep-${identity}`, scene);
    if (pid !== undefined) return fine(`${processes.length} processes in containers of process ${pid}`);
    const mounts = parseMountPoints((await scene.read('/proc/self/mountinfo')) ?? '');
    const left = mounts.filter((point) => point.startsWith(`${directory}/`));
    if (processes.length + left.length === 0) return fine('none');
    return warning(
      `${processes.length} processes and ${left.length} mounts of containers that nobody waits for`,
      `snapstep ls ${storeOption(scene)}`,
    );
  },
};

/** The processes whose cgroup is one of ours: lines such as `4:pids:/snapstep-0123/c1/container` (proc_pid_cgroup(5)). */
async function processesBelow(cgroup: string, { read }: Scene): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = pids.map(
    async (pid) => (await read(`/proc/${pid}/cgroup`))?.includes(`/${cgroup}/`) === true,
  );
  const ours = await Promise.all(found);
  return pids.filter((_, at) => ours[at]);
}

async function names(directory: string): Promise<string[]> {
  return readdir(directory).catch(() => []);
}
