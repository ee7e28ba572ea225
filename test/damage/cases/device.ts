import { mkdir, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';
import { DISK_OF } from '../bench.ts';
import type { CaseReport, CaseScene, DamageCase } from '../case.ts';
import { Disk, type DiskOptions } from '../disk.ts';
import { randomOf } from '../random.ts';
import { recipe } from '../recipes.ts';
import { copyOf, FIRST, type Template } from '../template.ts';
import { Trial } from '../trial.ts';

/** What happens to the device below a file system, or to the file system at once. */
interface Trouble {
  readonly name: string;
  readonly store: Template['store'];
  /** Whether the image lies on a disk with little room, so that what is written is lost some time after. */
  readonly isThin?: boolean;
  readonly begin: (disk: Disk) => Promise<unknown>;
  /** Where it ends by itself the builder goes on; otherwise the disk is repaired and mounted anew. */
  readonly end?: (disk: Disk) => Promise<unknown>;
}

/** The kernel makes an ext4 read-only when its journal fails, and every call on an XFS that was shut down fails. */
const TROUBLES: readonly Trouble[] = [
  {
    name: 'read-only',
    store: 'overlayfs',
    begin: ({ path }) => execa('mount', ['-o', 'remount,abort', path], { reject: false }),
  },
  {
    name: 'shut-down',
    store: 'rsync',
    begin: ({ path }) => execa('xfs_io', ['-x', '-c', 'shutdown -f', path]),
  },
  {
    name: 'read-only-for-a-while',
    store: 'btrfs',
    begin: ({ path }) => readOnly(path, 'true'),
    end: ({ path }) => readOnly(path, 'false'),
  },
  ...(['rsync', 'btrfs', 'overlayfs'] as const).map((store) => ({
    ...{ name: 'writes-fail', store, isThin: true },
    begin: async () => {},
  })),
];

export function deviceCases(templates: readonly Template[]): readonly DamageCase[] {
  return templates.flatMap((template) => {
    const { store } = template;
    const common = { class: `${store} on ${DISK_OF[store]}`, isStandard: true };
    const troubles = TROUBLES.filter((trouble) => trouble.store === store);
    return [
      ...troubles.map((trouble) => ({
        ...{ ...common, name: `device:${trouble.name}:${store}`, kind: `disk ${trouble.name}` },
        run: (scene: CaseScene) => run(trouble, { ...scene, template }),
      })),
      {
        ...{ ...common, name: `device:read-only-at-opening:${store}`, kind: 'disk read-only-at-opening' },
        run: (scene: CaseScene) => runReadOnly({ ...scene, template }),
      },
      ...[0.9, 0.6, 0.3].map((part) => ({
        ...{
          ...common,
          name: `device:reads-fail-${part}:${store}`,
          kind: 'disk reads-fail',
          isStandard: part === 0.6,
        },
        run: (scene: CaseScene) => runTruncated(part, { ...scene, template }),
      })),
    ];
  });
}

type DeviceScene = CaseScene & { readonly template: Template };

async function run(trouble: Trouble, scene: DeviceScene): Promise<CaseReport> {
  const { bench, template, seed } = scene;
  const random = randomOf(seed);
  const trial = new Trial(bench, { worker: scene.worker, known: template.known });
  await using directory = trouble.isThin ? await thinDirectory(scene) : undefined;
  const options = { directory: directory?.path ?? bench.directory, fileSystem: DISK_OF[template.store] };
  {
    await using disk = await copyOf(template, options.directory);
    const place = bench.place(template.store, { store: disk.path });
    await trial.open(place, { must: 'a good disk' });
    const builds = ['a', 'b'].map((name) => trial.build(recipe(name, `family ${name}`)));
    await delay(random() * 500);
    await trouble.begin(disk);
    await Promise.all(builds);
    for (let i = 0; i < 3; i += 1) await trial.build(recipe(`c${i}`, `family ${i}`));
    // Where nothing has failed yet, it does now.
    if (trouble.isThin) await execa('sync', ['--file-system', disk.path], { reject: false });
    await useAll(trial, template);
    await trouble.end?.(disk);
    if (trouble.end) await trial.build(FIRST, { must: 'the disk is well again' });
    await trial.ask({ do: 'close' });
    if (trouble.end) await endWell(trial, { disk, template });
    else if (!trial.hasDied) await repair(trial, { disk, template, options });
  }
  return { findings: trial.findings, told: trial.told };
}

async function runReadOnly({ bench, worker, template }: DeviceScene): Promise<CaseReport> {
  const trial = new Trial(bench, { worker, known: template.known });
  {
    await using disk = await copyOf(template, bench.directory);
    await execa('mount', ['-o', 'remount,ro', disk.path]);
    await trial.open(bench.place(template.store, { store: disk.path }));
    await useAll(trial, template);
    await trial.ask({ do: 'close' });
    await execa('mount', ['-o', 'remount,rw', disk.path]);
    await endWell(trial, { disk, template });
  }
  return { findings: trial.findings, told: trial.told };
}

/** The end of the device is gone: what lies there cannot be read, until it is back. */
async function runTruncated(part: number, { bench, worker, template }: DeviceScene): Promise<CaseReport> {
  const trial = new Trial(bench, { worker, known: template.known });
  {
    await using disk = await copyOf(template, bench.directory);
    await disk.unmount();
    await truncate(disk.image, Math.floor((await stat(disk.image)).size * part));
    const isMounted = await disk.mount().then(
      () => true,
      () => false,
    );
    if (isMounted) {
      await trial.open(bench.place(template.store, { store: disk.path }));
      await useAll(trial, template);
      await trial.ask({ do: 'close' });
    }
  }
  return { findings: trial.findings, told: trial.told };
}

async function useAll(trial: Trial, { known }: Template): Promise<void> {
  const key = known.at(-1)?.key ?? '';
  await trial.build(FIRST);
  await trial.ask({ do: 'plan', recipe: recipe('planned') });
  for (const asked of ['explain', 'log', 'remove'] as const) await trial.ask({ do: asked, key });
  for (const asked of ['usage', 'caches', 'list'] as const) await trial.ask({ do: asked });
  await trial.ask({ do: 'prune', limit: 1 });
  await trial.audit();
}

async function endWell(
  trial: Trial,
  { disk, template }: { readonly disk: Disk; readonly template: Template },
): Promise<void> {
  await trial.open(trial.bench.place(template.store, { store: disk.path }), {
    must: 'the disk is well again',
  });
  await trial.audit();
  await trial.build(FIRST, { must: 'the disk is well again' });
  await trial.build(recipe('last'), { must: 'the disk is well again' });
  await trial.ask({ do: 'close' });
  const left = trial.hasDied ? undefined : await disk.unmount();
  if (left !== undefined) trial.find('left', left);
}

/** What is on the disk, on a device that is well. */
async function repair(
  trial: Trial,
  {
    disk,
    template,
    options,
  }: { readonly disk: Disk; readonly template: Template; readonly options: DiskOptions },
): Promise<void> {
  const left = await disk.unmount();
  if (left !== undefined) return trial.find('left', left);
  if (disk.fileSystem === 'ext4') await execa('fsck.ext4', ['-y', disk.image], { reject: false });
  await using repaired = await Disk.copy(disk.image, { ...options, directory: trial.bench.directory });
  await endWell(trial, { disk: repaired, template });
}

async function readOnly(path: string, value: 'true' | 'false'): Promise<void> {
  await execa('btrfs', ['property', 'set', '-t', 'subvol', path, 'ro', value]);
}

/** In memory, with room for the template and little more. */
async function thinDirectory({
  bench,
  template,
}: DeviceScene): Promise<AsyncDisposable & { readonly path: string }> {
  const path = join(bench.directory, `thin-${template.store}`);
  const { blocks } = await stat(template.image);
  await mkdir(path, { recursive: true });
  const size = `size=${Math.ceil(blocks / 2) + 3000}k`;
  await execa('mount', ['-t', 'tmpfs', '-o', size, 'snapstep-test', path]);
  return {
    path,
    [Symbol.asyncDispose]: async () => void (await execa('umount', [path], { reject: false })),
  };
}
