import { type BigIntStats, lstatSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  btrfsVolume,
  ext4Volume,
  mountAgain,
  needs,
  unmountEverywhere,
  xfsVolume,
} from '@snapstep/test-support';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { FileIdentities } from '../../src/backend/index.ts';

describe('the identity of a file', () => {
  it('is one for all its names, and another for every other file', () => {
    const paths = ['/', '/proc', '/proc/sys', import.meta.filename];
    const at = (path: string) =>
      new FileIdentities().of(lstatSync(path, { bigint: true }), Buffer.from(path));
    expect(new Set(paths.map(at)).size).toBe(4);
    expect(paths.map(at)).toEqual(paths.map(at));
    expect(at('/proc/self/status')).toBe(at(`/proc/${process.pid}/status`));
  });
});

const makers = { btrfs: btrfsVolume, ext4: ext4Volume, xfs: xfsVolume };

needs(
  'root',
  'btrfs',
  'xfs',
)('on a disk that is mounted again, and may be a copy now', () => {
  it.each(['btrfs', 'ext4', 'xfs'] as const)(
    'a file has another identity, whatever its device is: %s',
    async (type) => {
      await using volume = await makers[type]({ sizeMiB: 300 });
      const file = join(volume.path, 'f');
      writeFileSync(file, 'content');
      const before = lookAt(file);
      expect(lookAt(file).identity).toBe(before.identity);
      await remount(volume.path);
      const after = lookAt(file, before.stat.dev);
      expect(timesOf(after.stat)).toEqual(timesOf(before.stat));
      expect(after.identity).not.toBe(before.identity);
    },
  );

  // Subvolumes have the same inodes, and get device numbers in the order in which they are looked at.
  it('two files of two subvolumes have two identities, though all that lstat says is the same', async () => {
    await using volume = await btrfsVolume({ sizeMiB: 300 });
    const [one, other] = await alignedFiles(volume.path);
    const before = lookAt(one);
    await remount(volume.path);
    const after = lookAt(other, before.stat.dev);
    expect(timesOf(after.stat)).toEqual(timesOf(before.stat));
    expect(after.identity).not.toBe(before.identity);
  });
});

/** @param dev - A device number that may come out at a mount, and shall now. */
function lookAt(path: string, dev?: bigint): { readonly identity: string; readonly stat: BigIntStats } {
  const stat = lstatSync(path, { bigint: true });
  if (dev !== undefined) stat.dev = dev;
  return { identity: new FileIdentities().of(stat, Buffer.from(path)), stat };
}

function timesOf({ ino, size, mtimeNs, ctimeNs, birthtimeNs }: BigIntStats): readonly bigint[] {
  return [ino, size, mtimeNs, ctimeNs, birthtimeNs];
}

/** A file in each of two subvolumes. One is a snapshot of the other, so that their times are the same. */
async function alignedFiles(root: string): Promise<readonly [string, string]> {
  const [one, other] = [join(root, 'one'), join(root, 'other')];
  await execa('btrfs', ['-q', 'subvolume', 'create', one]);
  writeFileSync(join(one, 'f'), 'content');
  await execa('btrfs', ['-q', 'subvolume', 'snapshot', one, other]);
  return [join(one, 'f'), join(other, 'f')];
}

async function remount(path: string): Promise<void> {
  await unmountEverywhere(path);
  await mountAgain(path);
}
