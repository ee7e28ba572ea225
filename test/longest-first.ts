import { relative } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Minutes long each, the longest first: begun last, one of them would run alone at the end. */
const LONGEST = [
  'test/mutants/stores.test.ts',
  'packages/store-rsync/test/suite.test.ts',
  'test/stories/stress.test.ts',
  'packages/store-overlayfs/test/suite.test.ts',
  'test/mutants/sandboxes.test.ts',
  'packages/sandbox-runc/test/suite.test.ts',
  'packages/store-zfs/test/zfs-fuse/suite.test.ts',
  'packages/sandbox-macos/test/suite.test.ts',
];

/** Begins with the longest files, also where vitest remembers no earlier run. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const rank = ({ moduleId }: TestSpecification): number => {
      const at = LONGEST.indexOf(relative(this.ctx.config.root, moduleId));
      return at < 0 ? LONGEST.length : at;
    };
    return sorted.toSorted((a, b) => rank(a) - rank(b));
  }
}
