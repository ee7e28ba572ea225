/** A text that grows with `n`, about in proportion. */
export type Shape = (n: number) => string;

const repeat = (n: number, one: (i: number) => string): string =>
  Array.from({ length: n }, (_, i) => one(i)).join('');

/** Stages in stages, as deep as they may be, with as many in all. */
function nested(n: number): string {
  const depth = 60;
  let spec = '((from a))';
  for (let level = 0; level < depth; level += 1) {
    const beside = repeat(Math.ceil(n / depth), (i) => `(build s${level}x${i} ((from a)))`);
    spec = `(${beside}(build s${level} ${spec})(from a))`;
  }
  return spec;
}

/** Everything of which the language lets a spec have many, long or deep ones; some are refused. */
export const SPECS: Readonly<Record<string, Shape>> = {
  'a long text': (n) => `((from ${'a'.repeat(100 * n)}))`,
  'a long text in quotes': (n) => `((from "${'a'.repeat(100 * n)}"))`,
  'escapes in a text': (n) => `((from "${String.raw`\x41\065\n`.repeat(10 * n)}"))`,
  'a string of many lines': (n) => `((from "${'\\\n    a'.repeat(10 * n)}"))`,
  'line comments': (n) => `((from a))${'; hello\n'.repeat(n)}`,
  'block comments in block comments': (n) => `${'#|'.repeat(10 * n)}${'|#'.repeat(10 * n)}((from a))`,
  'a block comment that is never closed': (n) => '#| "a" '.repeat(10 * n),
  'data that are discarded': (n) => `(${'#; (x) '.repeat(n)}(from a))`,
  'discards of discards': (n) => `(${'#; '.repeat(n)}${'(x) '.repeat(n)}(from a))`,
  'lists that are never closed': (n) => '('.repeat(n),
  'lists that were never open': (n) => `((from a))${')'.repeat(n)}`,
  'a string that is never closed': (n) => `((from "${'a'.repeat(100 * n)}`,
  'lines before a mistake': (n) => `${'\n'.repeat(100 * n)}((from a) (x))`,
  comments: (n) => `((from a) ${repeat(n, (i) => `(comment c${i})`)})`,
  'run steps': (n) => `((from a) ${repeat(n, (i) => `(run (shell "c${i}"))`)})`,
  'shell arguments': (n) => `((from a) (shell ${'a '.repeat(n)}) (run (shell x)))`,
  'variables before one run': (n) => `((from a) ${repeat(n, (i) => `(env N${i} v)`)} (run (shell x)))`,
  'one variable again and again': (n) => `((from a) ${'(env N v)'.repeat(n)} (run (shell x)))`,
  'variables and as many copies': (n) =>
    `((from a) ${repeat(n, (i) => `(env N${i} v)(copy (src a) (dst b))`)})`,
  'users and shells': (n) => `((from a) ${'(user (uid 1) (gid 1))(shell a)'.repeat(n)} (run (shell x)))`,
  'working directories below each other': (n) => `((from a) (workdir /) ${'(workdir d)'.repeat(n)})`,
  'working directories up and down': (n) => `((from a) (workdir /) ${'(workdir d/..)'.repeat(n)})`,
  'a working directory of slashes': (n) => `((from a) (workdir ${'/'.repeat(10 * n)}))`,
  'a destination of dots': (n) => `((from a) (copy (src a) (dst ${'../'.repeat(10 * n)})))`,
  'a source of dots': (n) => `((from a) (copy (src ${'./'.repeat(10 * n)}) (dst b)))`,
  stages: (n) => `(${repeat(n, (i) => `(build s${i} ((from a)))`)}(from a))`,
  'stages of one name': (n) => `(${'(build s ((from a)))'.repeat(n)}(from a))`,
  'stages in stages': nested,
  'a copy from a stage that is not there': (n) =>
    `(${repeat(n, (i) => `(build s${i} ((from a)))`)}(from a) (copy (from (build x)) (src a) (dst b)))`,
  'a copy from each stage': (n) =>
    `(${repeat(n, (i) => `(build s${i} ((from a) (run (shell x${i}))))`)}(from a) ${repeat(
      n,
      (i) => `(copy (from (build s${i})) (src a) (dst b))`,
    )})`,
  'stages that copy from the one before': (n) => {
    const copy = (i: number) => (i === 0 ? '' : `(copy (from (build s${i - 1})) (src a) (dst b))`);
    const stages = repeat(n, (i) => `(build s${i} ((from a) ${copy(i)}))`);
    return `(${stages}(from a) (copy (from (build s${n - 1})) (src a) (dst b)))`;
  },
  sources: (n) => `((from a) (copy (src ${repeat(n, (i) => `f${i} `)}) (dst /d/)))`,
  'patterns to exclude': (n) => `((from a) (copy (src x) (dst d) (exclude ${repeat(n, (i) => `f${i}* `)})))`,
  'patterns that take back': (n) => `((from a) (copy (src x) (dst d) (exclude x ${'!y '.repeat(n)})))`,
  'patterns that take back too early': (n) =>
    `((from a) (copy (src x) (dst d) (exclude ${'!y '.repeat(n)})))`,
  'stars in a pattern': (n) => `((from a) (copy (src x) (dst d) (exclude ${'*a'.repeat(n)})))`,
  'sets in a pattern': (n) => `((from a) (copy (src x) (dst d) (exclude ${'[a-z]'.repeat(n)})))`,
  'a set without an end': (n) => `((from a) (copy (src x) (dst d) (exclude ${'[a'.repeat(n)})))`,
  caches: (n) => `((from a) (run (cache ${repeat(n, (i) => `(c${i} (target /t${i}))`)}) (shell x)))`,
  secrets: (n) => `((from a) (run (secrets ${repeat(n, (i) => `(c${i} (target /t${i}))`)}) (shell x)))`,
  'options of a cache': (n) =>
    `((from a) (run (cache (c (target /t) (buildkit_options (${'(k v)'.repeat(n)})))) (shell x)))`,
  networks: (n) => `((from a) (run (network ${'host '.repeat(n)}) (shell x)))`,
  'an op of a long name': (n) => `((from a) (${'r'.repeat(100 * n)} x))`,
  'a stage of a long name': (n) =>
    `((build ${'n'.repeat(50 * n)} ((from a))) (from a) (copy (from (build ${'m'.repeat(50 * n)})) (src a) (dst b)))`,
  'a field again and again': (n) => `((from a) (run ${'(shell x)'.repeat(n)}))`,
  'names that are no variables': (n) => `((from a) (env ${'a '.repeat(n)}))`,
};

/** References to images, right and wrong. */
export const REFERENCES: Readonly<Record<string, Shape>> = {
  digests: (n) => '@sha256:'.repeat(10 * n),
  'users and passwords': (n) => 'a:b@'.repeat(10 * n),
  'labels of a host': (n) => `${'a.'.repeat(10 * n)}/x`,
  'dashes in a host': (n) => `${'a-'.repeat(10 * n)}.b_/x`,
  'components of a name': (n) => 'a/'.repeat(10 * n),
  underscores: (n) => `x/a${'__'.repeat(10 * n)}!`,
  'dashes in a name': (n) => `x/a${'-'.repeat(10 * n)}!`,
  colons: (n) => 'a:'.repeat(10 * n),
  'a long tag': (n) => `a:${'t'.repeat(10 * n)}`,
  'a scheme': (n) => 'a-'.repeat(10 * n),
  'a local path': (n) => `oci:${'/a/..'.repeat(10 * n)}:t`,
};

/** Lines of an ignore file. */
export const IGNORE_LINES: Readonly<Record<string, Shape>> = {
  lines: (n) => repeat(n, (i) => `f${i}\n`),
  'lines with stars': (n) => repeat(n, (i) => `*${i}*/**/a\n`),
  'a line of stars': (n) => `${'*'.repeat(10 * n)}\n`,
  'a line of directories': (n) => `${'**/'.repeat(n)}a\n`,
  'lines that take back': (n) => `x\n${'!y\n'.repeat(n)}`,
  'blanks at an end': (n) => `a${' '.repeat(10 * n)}b\n`,
  'a line of backslashes': (n) => `${'\\'.repeat(10 * n)}\n`,
  'empty lines and comments': (n) => '\n# c\n'.repeat(n),
};
