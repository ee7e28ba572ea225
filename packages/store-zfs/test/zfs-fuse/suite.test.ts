import { fileURLToPath } from 'node:url';
import { needs } from '@snapstep/test-support';
import { afterAll, describe, it } from 'vitest';
import { BesideZfsFuse } from './beside-zfs-fuse.ts';
import { suite } from './suite.ts';

const program = fileURLToPath(new URL('./suite-process.ts', import.meta.url));

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
