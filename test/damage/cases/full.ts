import { randomBytes } from 'node:crypto';
import { mkdir, open, rm, statfs, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';
import type { StoreKind } from '../answer.ts';
import type { CaseReport, CaseScene, DamageCase } from '../case.ts';
import { Disk, type FileSystem } from '../disk.ts';
import { randomOf } from '../random.ts';
import { digestOf, PLAIN, type Recipe, recipe, single } from '../recipes.ts';
import { Trial } from '../trial.ts';

const MIB = 1024 * 1024;
/** What is free on a disk when a case begins. */
const FREE_MIB = 40;

interface Place {
  readonly store: StoreKind;
  readonly fileSystem: FileSystem;
}

const PLACES: readonly Place[] = [
  { store: 'overlayfs', fileSystem: 'ext4' },
  { store: 'btrfs', fileSystem: 'btrfs' },
  { store: 'rsync', fileSystem: 'xfs' },
  { store: 'rsync', fileSystem: 'ext4' },
];

/** What fills the disk, and what its builder has to live through. */
interface Filling {
  readonly name: string;
  readonly isStandard: boolean;
  readonly fits?: (place: Place) => boolean;
  readonly inodes?: number;
  /** Whether only builder, fetcher and sandbox are on the disk that is filled. */
  readonly stateOnly?: boolean;
  readonly fill: (scene: FullScene) => Promise<void>;
}

interface FullScene {
  readonly trial: Trial;
  /** The one that is filled. */
  readonly disk: Disk;
  readonly random: () => number;
  readonly reopen: () => Promise<void>;
}

const FILLINGS: readonly Filling[] = [
  { name: 'step', isStandard: true, fill: fillByStep },
  { name: 'step-files', isStandard: true, inodes: 700, fits: isExt4, fill: fillByFiles },
  { name: 'log', isStandard: true, fill: fillByLog },
  { name: 'copy', isStandard: true, fill: fillByCopy },
  { name: 'other-bytes', isStandard: true, fill: (scene) => fillMeanwhile(scene, takeBytes) },
  {
    name: 'other-inodes',
    isStandard: true,
    inodes: 700,
    fits: isExt4,
    fill: (scene) => fillMeanwhile(scene, takeInodes),
  },
  {
    name: 'state-bytes',
    isStandard: true,
    stateOnly: true,
    fill: (scene) => fillMeanwhile(scene, takeBytes),
  },
  {
    name: 'state-inodes',
    isStandard: false,
    stateOnly: true,
    inodes: 200,
    fits: isExt4,
    fill: (scene) => fillMeanwhile(scene, takeInodes),
  },
  { name: 'while-closed', isStandard: true, fill: fillWhileClosed },
];

export const fullCases: readonly DamageCase[] = FILLINGS.flatMap((filling) =>
  PLACES.filter((place) => filling.fits?.(place) ?? true).map((place) => ({
    name: `full:${filling.name}:${place.store}-${place.fileSystem}`,
    kind: `full by ${filling.name}`,
    class: `${place.store} on ${place.fileSystem}`,
    isStandard: filling.isStandard,
    run: (scene: CaseScene) => run(filling, { ...place, ...scene }),
  })),
);

async function run(filling: Filling, scene: CaseScene & Place): Promise<CaseReport> {
  const { bench, worker, store, fileSystem, seed } = scene;
  const trial = new Trial(bench, { worker });
  {
    const inodes = filling.inodes === undefined ? {} : { inodes: filling.inodes };
    await using disk = await Disk.make({ directory: bench.directory, fileSystem, ...inodes });
    await using other = await Disk.make({ directory: bench.directory, fileSystem });
    await leaveFree(disk, FREE_MIB);
    const disks = filling.stateOnly ? { store: other.path, state: disk.path } : { store: disk.path };
    const place = bench.place(store, disks);
    const reopen = async () => {
      await trial.ask({ do: 'close' });
      await trial.open(place, { must: 'it is opened again' });
    };
    await trial.open(place, { must: 'a good disk' });
    await filling.fill({ trial, disk, random: randomOf(seed), reopen });
    await trial.build(recipe('afterwards'), { must: 'there is room again' });
    await trial.audit();
    await reopen();
    await trial.audit();
    await trial.build(recipe('afterwards'), { must: 'there is room again, and it was opened again' });
    await trial.ask({ do: 'prune' }, { must: 'there is room again' });
    await trial.ask({ do: 'close' });
    const left = trial.hasDied ? undefined : await disk.unmount();
    if (left !== undefined) trial.find('left', left);
  }
  return { findings: trial.findings, told: trial.told };
}

/** Commands that do not look whether they could write: what was not written must not be saved as if it was. */
async function fillByStep({ trial }: FullScene): Promise<void> {
  await trial.build(recipe('before'), { must: 'a good disk' });
  for (let i = 0; i < 5; i += 1) await trial.build(careless(i, 12), { must: 'room can be made' });
  await trial.build(careless(9, FREE_MIB * 10));
  for (let i = 0; i < 3; i += 1) await trial.build(careless(i, 12), { must: 'room can be made' });
}

/** Writes so many zeros, then goes on whatever came of it. */
function careless(name: number, mebibytes: number): Recipe {
  const big = digestOf(Buffer.alloc(mebibytes * MIB));
  const write = `dd if=/dev/zero of=/d/big bs=1048576 count=${mebibytes} 2>/dev/null`;
  return single(`mkdir /d; echo ${name} > /d/name; ${write}; echo done > /d/done; true`, {
    ...{ name: `${name}\n`, big, done: 'done\n' },
  });
}

async function fillByFiles({ trial }: FullScene): Promise<void> {
  await trial.build(recipe('before'), { must: 'a good disk' });
  for (let i = 0; i < 4; i += 1) await trial.build(manyFiles(i, 150), { must: 'room can be made' });
  await trial.build(manyFiles(9, 2000));
  await trial.build(manyFiles(1, 150), { must: 'room can be made' });
}

function manyFiles(name: number, count: number): Recipe {
  const files = Object.fromEntries(Array.from({ length: count }, (_, i) => [`f${i}`, '']));
  const loop = `i=0; while [ $i -lt ${count} ]; do true > /d/f$i; i=$((i+1)); done 2>/dev/null`;
  return single(`mkdir /d; echo ${name} > /d/name; ${loop}; true`, { ...files, name: `${name}\n` });
}

async function fillByLog({ trial }: FullScene): Promise<void> {
  await trial.build(recipe('before'), { must: 'a good disk' });
  const loud = (name: string) =>
    single(`mkdir /d; yes ${name} | head -c ${FREE_MIB * 5 * MIB}; echo ${name} > /d/name`, {
      name: `${name}\n`,
    });
  await trial.build(loud('one'));
  await trial.build(loud('two'));
  await trial.ask({ do: 'list' }, { must: 'it is only told' });
}

async function fillByCopy({ trial }: FullScene): Promise<void> {
  await trial.build(recipe('before'), { must: 'a good disk' });
  const context = join(trial.bench.directory, 'context', 'big');
  for (const [mebibytes, must] of [
    [16, 'room can be made'],
    [20, 'room can be made'],
    [FREE_MIB * 10, undefined],
    [12, 'room can be made'],
  ] as const) {
    const name = `${mebibytes}-${randomBytes(4).toString('hex')}`;
    await mkdir(context, { recursive: true });
    const bytes = Buffer.alloc(mebibytes * MIB, name);
    await writeFile(join(context, name), bytes);
    const text = `((from ${PLAIN}) (copy (src big/${name}) (dst /d/big)))`;
    await trial.build({ text, trees: { main: [{}, { big: digestOf(bytes) }] } }, { must });
    await rm(join(context, name));
  }
}

/** Another program takes all that is left at any moment, and gives it back. */
async function fillMeanwhile(
  { trial, disk, random }: FullScene,
  take: (disk: Disk) => Promise<void>,
): Promise<void> {
  await trial.build(recipe('before'), { must: 'a good disk' });
  for (let round = 0; round < 3; round += 1) {
    const builds = ['a', 'b'].map((name) => trial.build(recipe(`${name}${round}`, `family-${name}${round}`)));
    await delay(random() * 600);
    await take(disk);
    await Promise.all(builds);
    await trial.build(recipe('before'));
    await trial.audit();
    for (const asked of ['usage', 'caches'] as const) await trial.ask({ do: asked });
    await trial.ask({ do: 'prune', limit: 1 });
    await giveBack(disk);
    await trial.build(recipe(`a${round}`, `family-a${round}`), { must: 'there is room again' });
  }
}

async function fillWhileClosed({ trial, disk, reopen }: FullScene): Promise<void> {
  await trial.build(recipe('before'), { must: 'a good disk' });
  await trial.build(recipe('before', 'another'), { must: 'a good disk' });
  await trial.ask({ do: 'close' });
  await takeBytes(disk);
  await reopen();
  await trial.build(recipe('before'), { must: 'room can be made' });
  await takeBytes(disk);
  await trial.ask({ do: 'close' });
  await giveBack(disk);
  await reopen();
}

/** Puts a file on the disk that leaves so much. */
async function leaveFree(disk: Disk, mebibytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(disk.path);
  const size = bavail * bsize - mebibytes * MIB;
  if (size > 0) await execa('fallocate', ['--length', `${size}`, join(disk.path, 'ballast')]);
}

async function takeBytes(disk: Disk): Promise<void> {
  await using file = await open(join(disk.path, 'filler'), 'a');
  for (const size of [MIB, 4096, 1]) {
    const block = randomBytes(size);
    // Not for ever: somebody may make room meanwhile.
    for (let i = 0; i < 4096 && (await file.write(block).catch(() => undefined)); ) i += 1;
  }
}

async function takeInodes(disk: Disk): Promise<void> {
  const directory = join(disk.path, 'many');
  await mkdir(directory, { recursive: true }).catch(() => {});
  for (let i = 0; ; i += 1) {
    const made = await writeFile(join(directory, `${i}`), '').then(
      () => true,
      () => false,
    );
    if (!made) return;
  }
}

async function giveBack(disk: Disk): Promise<void> {
  await truncate(join(disk.path, 'filler'), 0).catch(() => {});
  for (const name of ['filler', 'many']) await rm(join(disk.path, name), { recursive: true, force: true });
  await execa('sync', ['--file-system', disk.path]);
}

function isExt4({ fileSystem }: Place): boolean {
  return fileSystem === 'ext4';
}
