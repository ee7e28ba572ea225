import { type Check, type Finding, fine, notApplicable, problem, warning } from '../check.ts';
import { ownerOf } from '../owner.ts';
import type { Scene } from '../scene.ts';
import { storeOption } from '../store-option.ts';
import { isAtLeast } from '../version.ts';

/** Releases of OpenZFS that lose data, and what they do. `to` is the first that is whole again. */
const BAD: readonly { readonly from: string; readonly to: string; readonly why: string }[] = [
  { from: '2.0.0-rc1', to: '2.0.0', why: 'zfs promote may free blocks that are in use (openzfs#10652)' },
  {
    from: '2.1.4',
    to: '2.1.14',
    why: 'a file that is copied while it is written may get holes (openzfs#15526)',
  },
  {
    from: '2.2.0',
    to: '2.2.2',
    why: 'a file that is copied while it is written may get holes (openzfs#15526)',
  },
];

/** Above it ZFS looks long for free blocks, and everything becomes slow. */
const FULLEST = 0.8;

export const zfsVersion: Check = {
  name: 'zfs-version',
  look: (scene) =>
    onZfs(scene, async () => {
      const answer = await scene.ask('zfs', ['version']);
      const { tools, module } = parseVersions(answer?.stdout ?? '');
      if (answer?.exitCode !== 0 || tools === undefined || module === undefined) {
        const said = answer?.stderr.trim() || 'there is no zfs program, or no kernel module';
        return problem(`OpenZFS is not usable: ${said}`, installZfs(scene));
      }
      if (line(tools) !== line(module)) {
        const found = `the tools are ${tools}, the kernel module is ${module}: clones cannot be promoted`;
        return problem(found, 'install both from one source, then reboot');
      }
      const bad = BAD.find(({ from, to }) => isAtLeast(module, from) && !isAtLeast(module, to));
      if (bad) {
        const found = `OpenZFS ${module}: ${bad.why}; your distribution may have mended it in its package`;
        return warning(found, `update OpenZFS to ${bad.to} or later`);
      }
      if (isAtLeast(module, '2.1')) return fine(`OpenZFS ${module}`);
      return problem(`OpenZFS ${module} is older than 2.1`, installZfs(scene));
    }),
};

export const zfsPool: Check = {
  name: 'zfs-pool',
  look: (scene) =>
    onZfs(scene, async ({ pool }) => {
      const answer = await scene.ask('zpool', ['list', '-Hp', '-o', 'health,size,allocated', pool]);
      const [health, size, allocated] = answer?.stdout.trim().split('\t') ?? [];
      if (answer?.exitCode !== 0 || health === undefined) {
        return problem(answer?.stderr.trim() || `there is no pool ${pool}`, `zpool import ${pool}`);
      }
      if (health !== 'ONLINE') return problem(`the pool ${pool} is ${health}`, `zpool status -v ${pool}`);
      const fill = Number(allocated) / Number(size);
      const found = `the pool ${pool} is ONLINE and ${Math.round(fill * 100)} % full`;
      if (fill <= FULLEST) return fine(found);
      return warning(
        `${found}: ZFS slows down above ${FULLEST * 100} %`,
        `snapstep prune ${storeOption(scene)} --keep-free 20%`,
      );
    }),
};

/** Unfinished datasets of steps that were killed, while nobody works on them. */
export const zfsLeftovers: Check = {
  name: 'zfs-leftovers',
  look: (scene) =>
    onZfs(scene, async ({ dataset }) => {
      const pid = await ownerOf(scene.state.builder, scene);
      if (pid !== undefined) return fine(`what there is belongs to process ${pid}`);
      const args = ['list', '-Hp', '-o', 'name,origin', '-t', 'filesystem,snapshot', '-r', dataset];
      const answer = await scene.ask('zfs', args);
      if (answer?.exitCode !== 0) return notApplicable(`there is no dataset ${dataset} yet`);
      const left = unfinished(dataset, rowsOf(answer.stdout));
      if (left.length === 0) return fine('none');
      return warning(
        `${left.length} unfinished datasets, such as ${left[0]}`,
        `snapstep ls ${storeOption(scene)}`,
      );
    }),
};

/** A mount per step, and no more: machines with tens of thousands of mounted datasets became ten times slower. */
export const zfsMounts: Check = {
  name: 'zfs-mounts',
  look: (scene) =>
    onZfs(scene, async ({ dataset }) => {
      const args = ['list', '-Hp', '-o', 'mounted,name', '-t', 'filesystem', '-r', dataset];
      const answer = await scene.ask('zfs', args);
      if (answer?.exitCode !== 0) return notApplicable(`there is no dataset ${dataset} yet`);
      const mounted = answer.stdout.split('\n').filter((row) => row.startsWith(`yes\t${dataset}/`));
      const pid = await ownerOf(scene.state.builder, scene);
      if (pid !== undefined) return fine(`${mounted.length} are mounted, by process ${pid}`);
      if (mounted.length === 0) return fine('none is mounted');
      const found = `${mounted.length} are mounted, though nobody uses the store, such as ${mounted[0]?.slice(4)}`;
      return warning(found, `snapstep ls ${storeOption(scene)}`);
    }),
};

/** Clones that somebody made of our snapshots: `zfs destroy -R` would take them along, and what is cloned cannot go. */
export const zfsClones: Check = {
  name: 'zfs-clones',
  look: (scene) =>
    onZfs(scene, async ({ dataset, pool }) => {
      const answer = await scene.ask('zfs', [
        'list',
        '-Hp',
        '-o',
        'name,origin',
        '-t',
        'filesystem',
        '-r',
        pool,
      ]);
      if (answer?.exitCode !== 0) return notApplicable(`there is no dataset ${dataset} yet`);
      const foreign = rowsOf(answer.stdout)
        .filter(({ name, origin }) => origin.startsWith(`${dataset}/`) && !name.startsWith(`${dataset}/`))
        .map(({ name }) => name);
      if (foreign.length === 0) return fine('none outside the store');
      const found = `${foreign.length} clones of the store's snapshots lie outside it, such as ${foreign[0]}`;
      return warning(
        `${found}: prune cannot delete what they stand on`,
        `zfs promote ${foreign[0]}, or zfs destroy it`,
      );
    }),
};

/** Of `zfs version`, `zfs-2.1.11-1+deb12u1` and `zfs-kmod-2.1.11-1+deb12u1`, a line for each. */
function parseVersions(text: string): { readonly tools?: string; readonly module?: string } {
  const tools = /^zfs-(\d\S*)/m.exec(text)?.[1];
  const module = /^zfs-kmod-(\d\S*)/m.exec(text)?.[1];
  return { ...(tools && { tools }), ...(module && { module }) };
}

interface DatasetRow {
  readonly name: string;
  readonly origin: string;
}

function rowsOf(text: string): DatasetRow[] {
  const rows = text.split('\n').filter(Boolean);
  return rows.map((row) => ({ name: row.split('\t')[0] ?? '', origin: row.split('\t')[1] ?? '-' }));
}

/**
 * Of all datasets and snapshots, those that no saved thing is made of. What was replaced, but has clones that are in
 * use, is put aside and waits. Exported for tests.
 */
export function unfinished(dataset: string, rows: readonly DatasetRow[]): string[] {
  const names = rows.map(({ name }) => name);
  const isOrigin = (name: string): boolean =>
    rows.some((row) => row.origin.startsWith(`${name}@`) || row.origin.startsWith(`${name}/`));
  return names.filter((name) => {
    const [, kind] = /^\/(result|cache-tmp|trash)\/[^/@]+$/.exec(name.slice(dataset.length)) ?? [];
    if (kind === undefined || isOrigin(name)) return false;
    return kind !== 'result' || !names.includes(`${name}@snap`);
  });
}

/** What makes tools and module fit together. */
function line(version: string): string {
  return version.split('.').slice(0, 2).join('.');
}

async function onZfs(
  { store }: Scene,
  look: (place: { readonly dataset: string; readonly pool: string }) => Promise<Finding>,
): Promise<Finding> {
  if (store.kind !== 'zfs') return notApplicable(`the store is of the kind ${store.kind}`);
  return look({ dataset: store.dataset, pool: store.dataset.split('/')[0] ?? store.dataset });
}

function installZfs({ platform }: Scene): string {
  return platform === 'darwin'
    ? 'install OpenZFS from https://openzfsonosx.org'
    : 'apt-get install zfs-dkms zfsutils-linux';
}
