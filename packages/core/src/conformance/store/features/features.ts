import type { StoreFeature } from '../../../backend/store.ts';
import type { StoreTest } from '../scene.ts';
import { baseImageTests } from './base-images.ts';
import { declarationTests } from './declared.ts';
import { imageTransferTests } from './image-transfer.ts';
import { placementTests } from './placement.ts';
import { quotaTests } from './quota.ts';
import { transferTests } from './transfer.ts';

const tests: Readonly<Record<StoreFeature, readonly ((test: StoreTest) => void)[]>> = {
  placement: [placementTests],
  baseImages: [baseImageTests, imageTransferTests],
  quota: [quotaTests],
  transfer: [transferTests],
};

/** What only some stores can do. */
export function featureTests(
  test: StoreTest,
  { features = [] }: { readonly features?: readonly StoreFeature[] },
): void {
  declarationTests(test, features);
  for (const feature of features) for (const register of tests[feature]) register(test);
}
