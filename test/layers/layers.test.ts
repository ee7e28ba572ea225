import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { tempDir } from '@snapstep/test-support';
import { execa } from 'execa';
import { beforeAll, describe, expect, test } from 'vitest';

const repository = resolve(import.meta.dirname, '../..');

/** A small tree of the shape of ours, which keeps to the rules. */
const TREE: Readonly<Record<string, string>> = {
  'package.json': '{ "type": "module" }',
  'packages/core/package.json': JSON.stringify({
    name: '@snapstep/core',
    type: 'module',
    exports: { '.': './src/index.ts', './backend': './src/backend/index.ts' },
    devDependencies: { 'only-dev': '1.0.0' },
  }),
  'packages/core/src/index.ts': "export * from './build/builder.ts';\n",
  'packages/core/src/backend/index.ts': "export * from './names.ts';\n",
  'packages/core/src/backend/names.ts': 'export const name = 1;\n',
  'packages/core/src/build/builder.ts': "export { row } from '../cache/index-db.ts';\n",
  'packages/core/src/cache/index-db.ts': "export { name as row } from '../backend/names.ts';\n",
  'packages/core/src/log/log.ts': 'export const log = 1;\n',
  'packages/core/src/spec/spec.ts': 'export const spec = 1;\n',
  'packages/core/src/testing/index.ts': 'export const fake = 1;\n',
  'packages/core/test/helper.ts': 'export const helper = 1;\n',
  'packages/store-btrfs/package.json': '{ "type": "module" }',
  'packages/store-btrfs/src/index.ts': "export { name } from '@snapstep/core/backend';\n",
  'packages/cli/package.json': '{ "type": "module" }',
  'packages/cli/src/main.ts': "import '@snapstep/core';\n",
  'node_modules/only-dev/package.json': '{ "name": "only-dev", "main": "index.js" }',
  'node_modules/only-dev/index.js': '',
};

/** A file `RULE.ts` is added to each directory, with one import. */
const VIOLATIONS: readonly (readonly [rule: string, directory: string, imported: string])[] = [
  ['core-backend', 'packages/core/src/backend', '../log/log.ts'],
  ['core-log', 'packages/core/src/log', '../cache/index-db.ts'],
  ['core-spec', 'packages/core/src/spec', '../log/log.ts'],
  ['core-plan', 'packages/core/src/plan', '../cache/index-db.ts'],
  ['core-cache', 'packages/core/src/cache', '../build/builder.ts'],
  ['core-build', 'packages/core/src/build', '../index.ts'],
  ['core-conformance', 'packages/core/src/conformance', '../build/builder.ts'],
  ['core-testing', 'packages/core/src/testing', '../spec/spec.ts'],
  ['backend-packages', 'packages/store-btrfs/src', '@snapstep/core'],
  ['public-entries', 'packages/cli/src', '../../core/src/spec/spec.ts'],
  ['by-package-name', 'packages/cli/src', '../../core/src/index.ts'],
  ['no-test-code', 'packages/core/src/spec', '../../test/helper.ts'],
  ['no-dev-dependency', 'packages/core/src/spec', 'only-dev'],
  ['not-to-unresolvable', 'packages/core/src/spec', './nowhere.ts'],
];

describe('the import rules', () => {
  let broken: ReadonlyMap<string, readonly string[]>;

  beforeAll(async () => {
    const added = VIOLATIONS.map(([rule, directory, imported]) => [
      `${directory}/${rule}.ts`,
      `import '${imported}';\n`,
    ]);
    broken = await rulesBrokenBy({
      ...Object.fromEntries(added),
      'packages/core/src/spec/circle.ts': "import type { B } from './other.ts';\nexport type A = B | 1;\n",
      'packages/core/src/spec/other.ts': "import type { A } from './circle.ts';\nexport type B = { a: A };\n",
    });
  });

  test('allow a tree that keeps to them', async () => {
    expect([...(await rulesBrokenBy({})).keys()]).toEqual([]);
  });

  test.each(VIOLATIONS)('%s: a file of %s may not import %s', (rule, directory) => {
    expect(broken.get(`${directory}/${rule}.ts`)).toContain(rule);
  });

  test('no-circular: not even types may go in a circle', () => {
    expect(broken.get('packages/core/src/spec/circle.ts')).toContain('no-circular');
  });
});

/** The names of the broken rules, by the file that breaks them. */
async function rulesBrokenBy(files: Readonly<Record<string, string>>): Promise<Map<string, string[]>> {
  await using dir = await tempDir();
  for (const [name, text] of Object.entries({ ...TREE, ...files })) {
    await mkdir(dirname(join(dir.path, name)), { recursive: true });
    await writeFile(join(dir.path, name), text);
  }
  await mkdir(join(dir.path, 'node_modules/@snapstep'));
  await symlink('../../packages/core', join(dir.path, 'node_modules/@snapstep/core'));
  const { stdout } = await execa(
    join(repository, 'node_modules/.bin/depcruise'),
    ['packages', '--output-type', 'json', '--config', join(repository, '.dependency-cruiser.cjs')],
    { cwd: dir.path, reject: false },
  );
  const { summary } = JSON.parse(stdout) as {
    summary: { violations: { from: string; rule: { name: string } }[] };
  };
  const byFile = Map.groupBy(summary.violations, (violation) => violation.from);
  return new Map([...byFile].map(([file, found]) => [file, found.map((violation) => violation.rule.name)]));
}
