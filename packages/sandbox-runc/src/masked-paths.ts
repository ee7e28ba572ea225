import { existsSync, readdirSync } from 'node:fs';

/**
 * What Docker hides of /proc and /sys, and what it came to hide later: counters that tell of other processes
 * (`interrupts`, `powercap`, `thermal_throttle`), keys, and memory.
 */
const MASKED = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/sys/devices/virtual/powercap',
  '/sys/firmware',
];

const PROCESSORS = '/sys/devices/system/cpu';

/** The paths to hide. Each costs a mount, so those of /sys that this machine does not have are left out. */
export function maskedPaths(): readonly string[] {
  return [...MASKED, ...throttleCounters()].filter((path) => path.startsWith('/proc/') || existsSync(path));
}

function throttleCounters(): string[] {
  if (!existsSync(PROCESSORS)) return [];
  return readdirSync(PROCESSORS)
    .filter((name) => /^cpu\d+$/.test(name))
    .map((name) => `${PROCESSORS}/${name}/thermal_throttle`);
}
