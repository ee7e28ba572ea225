import { join } from 'node:path';
import { needs } from '@snapstep/test-support';
import { afterAll, describe, it } from 'vitest';
import { BesideZfsFuse } from './beside-zfs-fuse.ts';
import { suite } from './suite.ts';

const program = join(import.meta.dirname, 'suite-process.ts');

needs('root', 'zfs-fuse')('the ZFS store, on zfs-fuse', () => {
  let inside: BesideZfsFuse;
  let topic: string;
  suite({
    describe: (title, body) =>
      describe(title, () => {
        const ours = new BesideZfsFuse(program);
        afterAll(() => ours[Symbol.asyncDispose]());
        [inside, topic] = [ours, title];
        body();
      }),
    it: (title) => {
      const [ours, name] = [inside, `${topic}: ${title}`];
      it(title, () => ours.run(name), 120_000);
    },
  });
});
