export { busyboxRootfs } from './busybox-rootfs.ts';
export { collectLog } from './collect-log.ts';
export { expectErr, expectOk } from './expect-result.ts';
export type { Need } from './machine.ts';
export { needs } from './needs.ts';
export { directoryCrashPlace, placeOn, storePlace } from './store-places.ts';
export { tempDir } from './temp-dir.ts';
export { btrfsVolume, ext4Volume, tmpfsVolume, xfsVolume } from './volumes.ts';
export { type ZfsPool, zfsPool } from './zfs-pool.ts';
