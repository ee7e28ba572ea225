import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { err, type Failed, failed, type LimitName, ok, type Result } from '@snapstep/core/backend';
import { type MountEntry, readMountTable } from './mount-table.ts';

/** The controllers that our limits, and the rule about device nodes, are made with. */
export type Controller = 'memory' | 'cpu' | 'pids' | 'devices';

/** Where this machine has its cgroups, and which of them we may use. */
export interface CgroupLayout {
  readonly version: 1 | 2;
  /** Every hierarchy that a runtime may put a container into. */
  readonly hierarchies: readonly string[];
  /** The usable controllers, with the directory that is the root of each. */
  readonly controllers: ReadonlyMap<Controller, string>;
  /** The hierarchy by which we find a container's processes. */
  readonly tracking: string;
  /** Whether the kernel can limit swap apart from memory. */
  readonly limitsSwap: boolean;
  /** Where cgroup v2 is mounted beside v1: crun refuses to run where it sees that. */
  readonly hybridMount?: string;
}

const CONTROLLERS: readonly Controller[] = ['devices', 'memory', 'cpu', 'pids'];

/** The limits that need a controller; time and silence need none. */
const LIMIT_CONTROLLERS: readonly (readonly [LimitName, Controller])[] = [
  ['memoryBytes', 'memory'],
  ['cpus', 'cpu'],
  ['pids', 'pids'],
];

/**
 * Finds out what can be used by trying: a child named `probe` is made in each hierarchy, and removed. One that a
 * killed process has left is as good as a new one.
 */
export async function probeCgroups(probe: string): Promise<Result<CgroupLayout, Failed>> {
  const mounts = await readMountTable();
  const v1 = mounts.filter(({ fsType }) => fsType === 'cgroup');
  const v2 = mounts.find(({ fsType, target }) => fsType === 'cgroup2' && target.startsWith('/sys/fs/cgroup'));
  if (v1.length > 0) return probeV1(v1, v2, probe);
  if (v2 !== undefined) return probeV2(v2, probe);
  return err(failed('no cgroups are mounted below /sys/fs/cgroup, and containers need them'));
}

/** The limits that this machine can enforce. */
export function enforceableLimits(layout: CgroupLayout): readonly LimitName[] {
  const limits = LIMIT_CONTROLLERS.filter(([, controller]) => layout.controllers.has(controller));
  return [...limits.map(([limit]) => limit), 'timeoutMs', 'silenceMs'];
}

async function probeV1(
  v1: readonly MountEntry[],
  v2: MountEntry | undefined,
  probe: string,
): Promise<Result<CgroupLayout, Failed>> {
  const controllers = new Map<Controller, string>();
  for (const controller of CONTROLLERS) {
    const root = v1.find(({ superOptions }) => superOptions.includes(controller))?.target;
    if (root !== undefined && (await canMakeChild(root, probe))) controllers.set(controller, root);
  }
  const tracking = controllers.get('devices');
  if (tracking === undefined) {
    return err(failed('cgroup v1 is mounted, but its "devices" controller is missing or read-only'));
  }
  const hierarchies = [...v1, ...(v2 ? [v2] : [])].map(({ target }) => target);
  const memory = controllers.get('memory');
  const limitsSwap = memory !== undefined && (await exists(join(memory, 'memory.memsw.limit_in_bytes')));
  const hybrid = v2 !== undefined && (await controllersOf(v2.target)).length > 0;
  return ok({
    ...{ version: 1, hierarchies, controllers, tracking, limitsSwap },
    ...(hybrid ? { hybridMount: v2.target } : {}),
  });
}

/** On v2 a controller counts if it can be handed to children; devices are a matter of BPF, not of a controller. */
async function probeV2(v2: MountEntry, probe: string): Promise<Result<CgroupLayout, Failed>> {
  const root = v2.target;
  const child = join(root, probe);
  try {
    await mkdir(child, { recursive: true });
  } catch (cause) {
    return err(failed(`cannot make a cgroup below ${root}: ${cause}`, cause));
  }
  const controllers = new Map<Controller, string>();
  for (const controller of ['memory', 'cpu', 'pids'] as const) {
    await writeFile(join(root, 'cgroup.subtree_control'), `+${controller}`).catch(() => {});
    if ((await controllersOf(child)).includes(controller)) controllers.set(controller, root);
  }
  const limitsSwap = await exists(join(child, 'memory.swap.max'));
  await rmdir(child);
  return ok({ version: 2, hierarchies: [root], controllers, tracking: root, limitsSwap });
}

async function canMakeChild(root: string, name: string): Promise<boolean> {
  try {
    await mkdir(join(root, name), { recursive: true });
    await rmdir(join(root, name));
    return true;
  } catch {
    return false;
  }
}

async function controllersOf(cgroup: string): Promise<readonly string[]> {
  const text = await readFile(join(cgroup, 'cgroup.controllers'), 'utf8').catch(() => '');
  return text.split(/\s+/).filter((name) => name !== '');
}

async function exists(file: string): Promise<boolean> {
  return readFile(file).then(
    () => true,
    () => false,
  );
}
