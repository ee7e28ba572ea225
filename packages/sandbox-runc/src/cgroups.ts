import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ResourceLimits } from '@snapstep/core/backend';
import type { CgroupLayout, Controller } from './cgroup-layout.ts';
import { killAll, readCounter, removeTree } from './cgroup-tree.ts';
import type { OciResources } from './oci-config.ts';

/** The cgroups of one container. They hold every process from the runtime's first instruction on. */
export interface ContainerCgroups {
  /** The `cgroup.procs` files that the launcher writes itself into before it becomes the runtime. */
  readonly join: readonly string[];
  /** What the runtime is told; undefined where we have done it all. */
  readonly forRuntime: { readonly path: string; readonly resources: OciResources } | undefined;
  /** Whether the kernel killed a process because the memory limit was reached. Ask before {@link remove}. */
  wasOutOfMemory(): boolean;
  /** Whether the kernel refused a new process because of the limit. Ask before {@link remove}. */
  wasOutOfPids(): boolean;
  /** Kills whatever is left. @returns The processes that outlived the deadline. */
  kill(deadline: number): Promise<readonly number[]>;
  /** @returns Whether all of them are gone. */
  remove(deadline: number): Promise<boolean>;
}

export interface CgroupRequest {
  /** The name of this sandbox's cgroup in each hierarchy, and of the container's below it. */
  readonly parent: string;
  readonly name: string;
  readonly limits: ResourceLimits;
  /** On cgroup v1, set everything up here and leave nothing to the runtime. */
  readonly ownCgroups: boolean;
}

const CPU_PERIOD_US = 100_000;

/** The part of the path that the runtime makes, and keeps or removes; limits it was given are on it. */
const LEAF = 'container';

/** The devices of an ordinary container; nodes may be made, since without CAP_MKNOD only the runtime can. */
const DEVICE_RULES: readonly (readonly ['devices.deny' | 'devices.allow', string])[] = [
  ['devices.deny', 'a'],
  ...['c *:* m', 'b *:* m', 'c 1:3 rwm', 'c 1:5 rwm', 'c 1:7 rwm', 'c 1:8 rwm', 'c 1:9 rwm']
    .concat('c 5:0 rwm', 'c 5:1 rwm', 'c 5:2 rwm', 'c 136:* rwm')
    .map((rule) => ['devices.allow', rule] as const),
];

/** The kernel gives up on a charge that would pass the limit, so the highest use is just below it. */
const CHARGE_BYTES = 1024 * 1024;

/**
 * Makes the cgroup below which this sandbox has those of its containers.
 *
 * @param ownCgroups - As in {@link CgroupRequest}: then the device rules are set here, for all to inherit.
 */
export function makeParent(layout: CgroupLayout, parent: string, ownCgroups: boolean): void {
  const cgroup = join(layout.tracking, parent);
  mkdirSync(cgroup, { recursive: true });
  if (ownCgroups) {
    for (const [file, rule] of DEVICE_RULES) writeFileSync(join(cgroup, file), rule);
  }
  if (layout.version === 1) return;
  const enabled = [...layout.controllers.keys()].map((controller) => `+${controller}`).join(' ');
  writeFileSync(join(cgroup, 'cgroup.subtree_control'), enabled);
}

/** Makes the cgroups for one container. */
export function makeCgroups(layout: CgroupLayout, request: CgroupRequest): ContainerCgroups {
  const own = join(request.parent, request.name);
  const tracked = join(layout.tracking, own);
  // On v2 only a leaf may hold processes, so the runtime itself gets a leaf beside the container's.
  const first = layout.version === 2 ? join(tracked, 'runtime') : tracked;
  // Not with its parents: those that were made by `makeParent` have the device rules.
  mkdirSync(tracked);
  if (first !== tracked) mkdirSync(first);
  const limited = request.ownCgroups ? setLimits(layout, request) : [];
  const counter = (controller: Controller, file: string, key: string): number =>
    countEvents(layout.controllers.get(controller), own, { file, key });
  return {
    join: [first, ...limited].map((cgroup) => join(cgroup, 'cgroup.procs')),
    forRuntime: request.ownCgroups
      ? undefined
      : { path: `/${own}/${LEAF}`, resources: ociResources(layout, request.limits) },
    // A machine that is short of memory kills too, at whatever size a command has then.
    wasOutOfMemory: () => {
      if (layout.version === 2) {
        return (
          counter('memory', 'memory.events', 'oom_kill') > 0 && counter('memory', 'memory.events', 'max') > 0
        );
      }
      const highest = Math.max(
        counter('memory', 'memory.max_usage_in_bytes', ''),
        counter('memory', 'memory.memsw.max_usage_in_bytes', ''),
      );
      const limit = request.limits.memoryBytes ?? Infinity;
      return highest >= limit - CHARGE_BYTES && counter('memory', 'memory.oom_control', 'oom_kill') > 0;
    },
    wasOutOfPids: () => counter('pids', 'pids.events', 'max') > 0,
    kill: (deadline) => killAll(tracked, deadline),
    remove: (deadline) =>
      request.ownCgroups
        ? removeAll([first, ...limited], deadline)
        : removeAll(everywhere(layout, own), deadline),
  };
}

/** Kills and removes everything below this sandbox's cgroups. @returns Whether nothing is left. */
export async function removeParent(layout: CgroupLayout, parent: string, deadline: number): Promise<boolean> {
  for (const root of layout.hierarchies) await killAll(join(root, parent), deadline);
  return removeAll(everywhere(layout, parent), deadline);
}

/**
 * On v1 each limit is a file in its hierarchy. The runtime is in the cgroups too, so it gets one process more than
 * was asked for.
 */
function setLimits(layout: CgroupLayout, { limits, parent, name }: CgroupRequest): string[] {
  const { memoryBytes, cpus, pids } = limits;
  const settings: [Controller, string, number][] = [];
  if (memoryBytes !== undefined) {
    settings.push(['memory', 'memory.limit_in_bytes', memoryBytes]);
    if (layout.limitsSwap) settings.push(['memory', 'memory.memsw.limit_in_bytes', memoryBytes]);
  }
  if (cpus !== undefined) {
    settings.push(['cpu', 'cpu.cfs_period_us', CPU_PERIOD_US], ['cpu', 'cpu.cfs_quota_us', cpuQuota(cpus)]);
  }
  if (pids !== undefined) settings.push(['pids', 'pids.max', pids + 1]);
  const used = new Set<string>();
  for (const [controller, file, value] of settings) {
    const cgroup = join(layout.controllers.get(controller) ?? '', parent, name);
    mkdirSync(cgroup, { recursive: true });
    writeFileSync(join(cgroup, file), value.toFixed(0));
    used.add(cgroup);
  }
  return [...used];
}

function ociResources(layout: CgroupLayout, { memoryBytes, cpus, pids }: ResourceLimits): OciResources {
  return {
    devices: [{ allow: false, access: 'rwm' }],
    ...(memoryBytes !== undefined && {
      memory: { limit: memoryBytes, ...(layout.limitsSwap && { swap: memoryBytes }) },
    }),
    ...(cpus !== undefined && { cpu: { quota: cpuQuota(cpus), period: CPU_PERIOD_US } }),
    ...(pids !== undefined && { pids: { limit: pids } }),
  };
}

/** The kernel's least quota is a millisecond. */
function cpuQuota(cpus: number): number {
  return Math.max(1000, Math.round(cpus * CPU_PERIOD_US));
}

/** v1 counts an event in the leaf only; on v2 the runtime may have removed the leaf, and its parent has the sum. */
function countEvents(
  root: string | undefined,
  own: string,
  event: { readonly file: string; readonly key: string },
): number {
  if (root === undefined) return 0;
  const parent = readCounter(join(root, own, event.file), event.key);
  return parent > 0 ? parent : readCounter(join(root, own, LEAF, event.file), event.key);
}

/** A runtime puts a container into hierarchies that we have no use for. */
function everywhere(layout: CgroupLayout, name: string): string[] {
  return layout.hierarchies.map((root) => join(root, name));
}

async function removeAll(cgroups: readonly string[], deadline: number): Promise<boolean> {
  const removed = await Promise.all(cgroups.map((cgroup) => removeTree(cgroup, deadline)));
  return removed.every((gone) => gone);
}
