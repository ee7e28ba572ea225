import { type BuildEvent, type Builder, parseSpec } from '@snapstep/core';
import {
  btrfsVolume,
  expectErr,
  expectOk,
  ext4Volume,
  needs,
  type tempDir,
  tmpfsVolume,
  xfsVolume,
} from '@snapstep/test-support';
import { expect, it } from 'vitest';
import {
  buildCareless,
  type Careless,
  type Filled,
  faultsOf,
  fillUp,
  freeAgain,
  openCareless,
} from './careless-world.ts';

type TempDir = Awaited<ReturnType<typeof tempDir>>;

const BYTES = { format: '%a', below: 300 };
const INODES = { format: '%d', below: 20 };

needs(
  'root',
  'busybox',
  'btrfs',
  'xfs',
  'rsync',
  'runc',
)('commands that do not look whether there is room', () => {
  it.each([
    ['ext4', 'rsync', 'bytes', () => ext4Volume({ sizeMiB: 64 }), BYTES],
    ['ext4', 'overlayfs', 'bytes', () => ext4Volume({ sizeMiB: 64 }), BYTES],
    ['tmpfs', 'rsync', 'inodes', () => tmpfsVolume({ sizeMiB: 64, inodes: 3000 }), INODES],
    ['XFS', 'rsync', 'bytes', () => xfsVolume({ sizeMiB: 320 }), BYTES],
    ['Btrfs', 'btrfs', 'bytes', () => btrfsVolume({ sizeMiB: 192 }), BYTES],
  ] as const)(
    'leave nothing wrong behind while another program fills that %s of the %s store (%s)',
    { timeout: 300_000 },
    async (_, kind, what, makeDisk, waitsFor) => {
      await using disk = await makeDisk();
      await using world = await openCareless(disk, { kind });
      await expectOk(await buildCareless(world.builder, { name: 'first' }))[Symbol.asyncDispose]();
      const onEvent = fillOnce(disk, what);
      const names = ['one', 'two', 'three'];
      await Promise.all(names.map((name) => expectRight(world.builder, { name, waitsFor, onEvent })));
    },
  );

  it('are not started on a disk that is nearly full', async () => {
    await using disk = await tmpfsVolume({ sizeMiB: 64 });
    await using world = await openCareless(disk, { kind: 'rsync' });
    await expectOk(await world.builder.build({ spec: expectOk(parseSpec('((from base))')) }))[
      Symbol.asyncDispose
    ]();
    await fillUp(disk, 'bytes');
    let output = '';
    const onEvent: Careless['onEvent'] = async (event) => {
      if (event.type === 'step-output') output += Buffer.from(event.chunk).toString();
    };
    const error = expectErr(await buildCareless(world.builder, { name: 'one', onEvent }));
    expect(error).toMatchObject({ error: { type: 'no-space' } });
    expect(output).not.toContain('half');
  });
});

/** Builds until it succeeds: a build that is not trusted fails with `no-space`, and may be tried again. */
async function expectRight(builder: Builder, step: Careless): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    const result = await buildCareless(builder, step);
    if (result.isErr()) {
      expect(result.error).toMatchObject({ error: { type: 'no-space' } });
      expect(tries).toBeLessThan(6);
      continue;
    }
    await using lease = result.value;
    return expect(await faultsOf(lease, step.name)).toEqual([]);
  }
}

/** A listener that fills the disk when the first step is half done, and frees it when the builder has noticed. */
function fillOnce(disk: TempDir, what: Filled): (event: BuildEvent) => Promise<void> {
  let output = '';
  let isFilled = false;
  let isFree = false;
  return async (event) => {
    if (event.type !== 'step-output') return;
    output += Buffer.from(event.chunk).toString();
    if (!isFilled && output.includes('half\n')) {
      isFilled = true;
      await fillUp(disk, what);
    }
    if (isFree || !output.includes('The disk is full')) return;
    isFree = true;
    await freeAgain(disk);
  };
}
