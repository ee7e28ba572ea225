import type { Store, StoreFeature } from '../../../backend/store.ts';
import { keeps, keepsEqual } from '../../promise.ts';
import { storePromises as promises } from '../promises.ts';
import type { StoreTest } from '../scene.ts';

/** What each feature is made of. */
const SHAPES: Readonly<Record<StoreFeature, Readonly<Record<string, 'function' | 'string'>>>> = {
  placement: { mountAt: 'function' },
  baseImages: {
    pin: 'function',
    list: 'function',
    create: 'function',
    remove: 'function',
    send: 'function',
    receive: 'function',
  },
  quota: { limit: 'function', isUsedUp: 'function' },
  transfer: { format: 'string', send: 'function', receive: 'function' },
};

/** A store has a feature by having the property: whoever asks must be able to rely on it. */
export function declarationTests(test: StoreTest, told: readonly StoreFeature[]): void {
  test('has each feature that the suite was told of, whole, and no other', async (scene) => {
    for (const name of Object.keys(SHAPES) as StoreFeature[]) {
      const isThere = name in scene.store;
      const hint = `the store has${isThere ? '' : ' not'} the property \`${name}\`, and \`features\` says ${JSON.stringify(told)}`;
      keeps(promises.declared, isThere === told.includes(name), hint);
      if (isThere) keepsEqual(promises.declared, shapeOf(scene.store, name), SHAPES[name]);
    }
  });
}

function shapeOf(store: Store, name: StoreFeature): unknown {
  const feature: unknown = store[name];
  if (typeof feature !== 'object' || feature === null) return feature;
  const members = Object.keys(SHAPES[name]).map((member) => [
    member,
    typeof (feature as Record<string, unknown>)[member],
  ]);
  return Object.fromEntries(members);
}
