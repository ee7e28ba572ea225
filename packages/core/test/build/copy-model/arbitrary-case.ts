import fc from 'fast-check';
import type { CopyCase } from './model.ts';
import type { Thing, Wanted } from './world.ts';

/** Copies into one tree, one after the other. */
export interface CopyStory {
  readonly before: readonly Wanted[];
  readonly source: readonly Wanted[];
  readonly from: 'context' | 'stage';
  readonly copies: readonly CopyCase[];
}

/** A file that is there in every source and never changes, so large that it can be cloned. */
export const BIG = 'big';

const isRoot = process.getuid?.() === 0;
/** So few that trees, sources and destinations meet. The last one is not UTF-8. */
const textNames = ['a', 'b', 'c', '..d', 'é'];
const names = [...textNames.map((name) => Buffer.from(name).toString('latin1')), '\xff'];

const anyName = fc.constantFrom(...names);
const owner = isRoot
  ? fc.constantFrom({ uid: 0, gid: 0 }, { uid: 7, gid: 70_000 }, { uid: 4_000_000_000, gid: 1 })
  : fc.constant({ uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 });
const seconds = fc.constantFrom(0, 1, -86_400.75, 1_000_000_000.123456, 1_700_000_000.999999, 2_500_000_000);
const mtime = seconds.map((time) => BigInt(Math.round(time * 1e6)) * 1000n);
const fileMode = fc.constantFrom(
  ...(isRoot ? [0, 0o4755, 0o2711, 0o444] : []),
  0o644,
  0o600,
  0o755,
  0o701,
  0o610,
);
const directoryMode = fc.constantFrom(...(isRoot ? [0] : []), 0o755, 0o700, 0o1777, 0o2775);

const linkTarget = fc
  .tuple(
    fc.constantFrom('', '', '', '/', '//'),
    fc.array(fc.oneof({ weight: 3, arbitrary: anyName }, fc.constantFrom('..', '..', '.', '')), {
      minLength: 1,
      maxLength: 4,
    }),
  )
  .map(([start, parts]) => start + parts.join('/') || '.');

const thing: fc.Arbitrary<Thing> = fc.record({ owner, mtime }).chain(({ owner, mtime }) =>
  fc
    .oneof(
      { weight: 6, arbitrary: fileMode.map((mode) => ({ kind: 'file', mode }) as const) },
      { weight: 4, arbitrary: directoryMode.map((mode) => ({ kind: 'directory', mode }) as const) },
      {
        weight: 4,
        arbitrary: linkTarget.map((content) => ({ kind: 'link', mode: 0o777, content }) as const),
      },
    )
    .chain((made) =>
      fc.constantFrom('', 'x', 'longer', '\xff\0').map((content) => ({
        ...owner,
        mtime,
        content: made.kind === 'directory' ? '' : content,
        ...made,
      })),
    ),
);

const path = fc.array(anyName, { minLength: 1, maxLength: 4 });

interface Planned {
  readonly path: readonly string[];
  readonly thing: Thing;
  readonly twist: number;
}

/** @param pipes - Whether there may be named pipes, of which no copy can be made. */
function tree(pipes: boolean): fc.Arbitrary<Wanted[]> {
  const planned = fc.record({ path, thing, twist: fc.integer({ min: 0, max: 99 }) });
  return fc
    .tuple(fc.record({ owner, mode: directoryMode, mtime }), fc.array(planned, { maxLength: 9 }))
    .map(([root, all]) => {
      const top = {
        path: '',
        kind: 'directory',
        mode: root.mode,
        mtime: root.mtime,
        content: '',
        ...root.owner,
      };
      return all.reduce((made, one) => grow(made, one, pipes), [top as Wanted]);
    });
}

/** Adds a thing with the directories above it, if there is room for it. */
function grow(made: Wanted[], { path, thing, twist }: Planned, pipes: boolean): Wanted[] {
  const kinds = new Map(made.map((one) => [one.path, one.kind]));
  const above = path.slice(0, -1).map((_, i) => path.slice(0, i + 1).join('/'));
  const place = path.join('/');
  if (kinds.has(place) || above.some((one) => (kinds.get(one) ?? 'directory') !== 'directory')) return made;
  const missing = above.filter((one) => !kinds.has(one));
  const directories = missing.map(
    (path): Wanted => ({ ...thing, path, kind: 'directory', mode: 0o755, content: '' }),
  );
  return [...made, ...directories, twisted(made, { ...thing, path: place }, { twist, pipes })];
}

/** Some files are another name of a file that is there, and some are pipes. */
function twisted(
  made: readonly Wanted[],
  thing: Wanted,
  { twist, pipes }: { twist: number; pipes: boolean },
): Wanted {
  const files = made.filter((one) => one.kind === 'file');
  const other = files[twist % files.length];
  if (thing.kind !== 'file') return thing;
  if (pipes && twist < 4) return { ...thing, kind: 'pipe', content: '' };
  return other && twist > 80 ? { ...other, path: thing.path, sameAs: other.sameAs ?? other.path } : thing;
}

const dstPart = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...textNames) },
  { weight: 2, arbitrary: fc.constant('..') },
  { weight: 1, arbitrary: fc.constantFrom('.', '', '...') },
);

/** A path as somebody may write it. */
const written = fc
  .tuple(
    fc.constantFrom('', '', '/', '//', './'),
    fc.array(dstPart, { maxLength: 4 }),
    fc.constantFrom('', '/', '/.', '//'),
  )
  .map(([start, parts, end]) => start + parts.join('/') + end || '.');

const pattern = fc.oneof(
  fc.constantFrom(...textNames),
  fc.constantFrom('*', '?', '*.*', '..*', 'a/', '/b', 'a/b', '*/c', '**/a', 'a/**', 'a/**/b', 'é/?'),
);
const excludes = fc
  .tuple(pattern, fc.array(fc.tuple(fc.constantFrom('', '', '!'), pattern), { maxLength: 3 }))
  .map(([first, more]) => [first, ...more.map(([start, pattern]) => start + pattern)]);

/** A path that is in a tree, or one that is perhaps not, as it may be written in a spec. */
function sourceIn(tree: readonly Wanted[]): fc.Arbitrary<string> {
  const there = tree
    .map(({ path }) => Buffer.from(path, 'latin1').toString())
    .filter((path) => !path.includes('\ufffd'));
  const plain = fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom(...there) },
    { weight: 2, arbitrary: fc.constant(BIG) },
    { weight: 1, arbitrary: path.map((names) => Buffer.from(names.join('/'), 'latin1').toString()) },
  );
  return fc
    .tuple(fc.constantFrom('', '', './', '/', './/'), plain, fc.constantFrom('', '', '/', '/.'))
    .map(([start, path, end]) => start + path + end);
}

function copyOf(tree: readonly Wanted[]): fc.Arbitrary<CopyCase> {
  return fc
    .record({
      workdirs: fc.array(written, { maxLength: 2 }),
      src: fc.array(sourceIn(tree), { minLength: 1, maxLength: 3 }),
      dst: written,
      exclude: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, excludes),
      owner,
    })
    .map((copy) =>
      copy.src.length > 1 && !copy.dst.endsWith('/') ? { ...copy, dst: `${copy.dst}/` } : copy,
    );
}

export const copyStory: fc.Arbitrary<CopyStory> = tree(false).chain((source) =>
  fc.tuple(tree(true), fc.integer({ min: 0, max: 19 })).chain(([before, twist]) => {
    const pipe: Wanted = { path: 'pipe', kind: 'pipe', mode: 0o644, uid: 0, gid: 0, mtime: 0n, content: '' };
    const whole = twist === 0 && !source.some(({ path }) => path === 'pipe') ? [...source, pipe] : source;
    return fc.record({
      before: fc.constant(before),
      source: fc.constant(whole),
      from: fc.constantFrom<CopyStory['from'][]>('context', 'context', 'stage'),
      copies: fc.array(copyOf(whole), { minLength: 1, maxLength: 3 }),
    });
  }),
);
