import type { Check } from './check.ts';
import { apparmor } from './checks/apparmor.ts';
import { btrfsMetadata, btrfsQuota } from './checks/btrfs.ts';
import { cgroups } from './checks/cgroups.ts';
import { index, owner, rowsWithoutSnapshots, snapshotsWithoutRows } from './checks/index.ts';
import { kernel } from './checks/kernel.ts';
import { leftoverContainers, leftoverCopies } from './checks/leftovers.ts';
import { compiler } from './checks/macos/compiler.ts';
import { desktop } from './checks/macos/desktop.ts';
import { fseventsd } from './checks/macos/fseventsd.ts';
import { fullDiskAccess } from './checks/macos/full-disk-access.ts';
import { hiddenTools } from './checks/macos/hidden-tools.ts';
import { macfuse } from './checks/macos/macfuse.ts';
import { sip } from './checks/macos/sip.ts';
import { spotlight } from './checks/macos/spotlight.ts';
import { state } from './checks/macos/state.ts';
import { users } from './checks/macos/users.ts';
import { mountCount, staleMounts } from './checks/mounts.ts';
import { node } from './checks/node.ts';
import { overlayIndex } from './checks/overlay-index.ts';
import { privileges } from './checks/privileges.ts';
import { runc } from './checks/runc.ts';
import { inodes, space } from './checks/space.ts';
import { tools } from './checks/tools.ts';
import { zfsClones, zfsLeftovers, zfsMounts, zfsPool, zfsVersion } from './checks/zfs.ts';

/** Everything that is looked at, in the order in which it is shown. */
export const CHECKS: readonly Check[] = [
  ...[node, privileges, kernel, runc, ...tools, cgroups, apparmor, overlayIndex],
  ...[space, inodes, btrfsMetadata, btrfsQuota, mountCount],
  ...[zfsVersion, zfsPool, zfsLeftovers, zfsMounts, zfsClones],
  ...[owner, index, rowsWithoutSnapshots, snapshotsWithoutRows],
  ...[staleMounts, leftoverCopies, leftoverContainers],
  ...[users, state, hiddenTools, sip, fullDiskAccess, spotlight, fseventsd, desktop, macfuse, compiler],
];
