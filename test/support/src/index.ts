export { btrfsVolume } from './btrfs-volume.ts';
export { busyboxRootfs } from './busybox-rootfs.ts';
export { collectLog } from './collect-log.ts';
export { expectErr, expectOk } from './expect-result.ts';
export type { Need } from './machine.ts';
export { needs } from './needs.ts';
export { directoryCrashPlace, storePlace } from './store-places.ts';
export { tempDir } from './temp-dir.ts';
export { type ZfsPool, zfsPool } from './zfs-pool.ts';
