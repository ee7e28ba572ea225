import { expect, it } from 'vitest';
import { mountedBy } from '../src/hdiutil.ts';

// After mount(8) and published outputs; nothing of it was recorded on a Mac of ours.
const MOUNTS = `/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
devfs on /dev (devfs, local, nobrowse)
/dev/disk3s5 on /System/Volumes/Data (apfs, local, journaled, nobrowse, protect, root data)
map auto_home on /System/Volumes/Data/home (autofs, automounted, nobrowse)
tank/snapstep/active/1/home on /Users/mac1000 (zfs, local, noatime, nobrowse)
/dev/disk9s1 on /Volumes/Some Tool (2) (hfs, local, nodev, nosuid, read-only, noowners, quarantine, mounted by mac1000)
/dev/disk10s1 on /Users/mac1000/image (apfs, local, nodev, nosuid, journaled, noowners, mounted by mac1000)
/dev/disk11s1 on /Volumes/other (apfs, local, nodev, nosuid, mounted by mac10001)
`;

it('the disk images of a user are told from all else that is mounted on a Mac (M10)', () => {
  expect(mountedBy('mac1000', MOUNTS)).toEqual(['/Volumes/Some Tool (2)', '/Users/mac1000/image']);
});
