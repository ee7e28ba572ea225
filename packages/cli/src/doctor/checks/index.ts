import { type Check, type Finding, fine, notApplicable, problem, warning } from '../check.ts';
import { readIndexRows } from '../index-rows.ts';
import { ownerOf } from '../owner.ts';
import { savedSnapshots } from '../saved-snapshots.ts';
import type { Scene } from '../scene.ts';
import { storeOption } from '../store-option.ts';

export const owner: Check = {
  name: 'owner',
  async look(scene) {
    const pid = await ownerOf(scene.state.builder, scene);
    return fine(pid === undefined ? 'no builder is running' : `process ${pid} has the store open`);
  },
};

export const index: Check = {
  name: 'index',
  async look(scene) {
    try {
      const rows = readIndexRows(scene);
      if (rows === undefined) return notApplicable(`there is no index in ${scene.state.builder} yet`);
      const saved = [...rows.values()].filter((state) => state === 'saved').length;
      return fine(`${saved} steps are saved`);
    } catch (error) {
      const found = `the index in ${scene.state.builder} is damaged: ${error instanceof Error ? error.message : error}`;
      return problem(found, `snapstep ls ${storeOption(scene)} makes it anew from the store`);
    }
  },
};

/** Steps that count as saved though their files are gone, as after a disk was exchanged or something deleted by hand. */
export const rowsWithoutSnapshots: Check = {
  name: 'rows-without-snapshots',
  async look(scene) {
    const { missing } = (await compare(scene)) ?? {};
    if (missing === undefined) return notApplicable('there is no store, or no index of it, yet');
    return (
      none(missing) ?? problem(`${describe(missing)} counted as saved, but gone from the store`, mend(scene))
    );
  },
};

/** They only take space: no build can find them. */
export const snapshotsWithoutRows: Check = {
  name: 'snapshots-without-rows',
  async look(scene) {
    const { orphans } = (await compare(scene)) ?? {};
    if (orphans === undefined) return notApplicable('there is no store, or no index of it, yet');
    return (
      none(orphans) ?? warning(`${describe(orphans)} in the store, but unknown to the index`, mend(scene))
    );
  },
};

/** The index is read before and after, so that what a running builder does meanwhile counts as neither. */
async function compare(
  scene: Scene,
): Promise<{ readonly missing: readonly string[]; readonly orphans: readonly string[] } | undefined> {
  const before = readIndexRows(scene);
  const stored = await savedSnapshots(scene);
  const after = readIndexRows(scene);
  if (before === undefined || stored === undefined || after === undefined) return undefined;
  const isSaved = (key: string): boolean => before.get(key) === 'saved' && after.get(key) === 'saved';
  return {
    missing: [...before.keys()].filter((key) => isSaved(key) && !stored.has(key)),
    orphans: [...stored].filter((key) => !before.has(key) && !after.has(key)),
  };
}

function none(keys: readonly string[]): Finding | undefined {
  return keys.length === 0 ? fine('none') : undefined;
}

function describe(keys: readonly string[]): string {
  const [first = ''] = keys;
  return keys.length === 1
    ? `${first.slice(0, 12)} is`
    : `${first.slice(0, 12)} and ${keys.length - 1} others are`;
}

/** Opening a builder puts both right. */
function mend(scene: Scene): string {
  return `close the builder, if one is running, then: snapstep ls ${storeOption(scene)}`;
}
