import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { tempDir } from '@snapstep/test-support';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { installedNode, NODES } from '../../scripts/checks/installed-node.ts';
import { packAll, publishedTarballs, type Tarball } from '../../scripts/checks/pack.ts';

const repository = resolve(import.meta.dirname, '../..');
let project: Awaited<ReturnType<typeof tempDir>>;
let tarballs: readonly Tarball[];

// The packages as they would be published, in a project that has nothing else.
beforeAll(async () => {
  project = await tempDir();
  const directory = process.env.SNAPSTEP_TARBALLS ?? (await buildAndPack(join(project.path, 'packed')));
  tarballs = await publishedTarballs(directory);
  await installInto(project.path, tarballs);
});

afterAll(() => project[Symbol.asyncDispose]());

test('every entry exports under Node what its source exports', async () => {
  for (const entry of await entries()) {
    const built = await exportsOf(process.execPath, entry.specifier);
    expect(built, entry.specifier).toEqual(Object.keys(await import(entry.source)).sort());
  }
});

test.each(NODES)('every entry can be imported by Node %s', async (version) => {
  const node = await installedNode(version);
  const specifiers = (await entries()).map((entry) => entry.specifier);
  const code = `for (const name of ${JSON.stringify(specifiers)}) await import(name); console.log(process.versions.node)`;
  const { stdout } = await execa(node, ['--input-type=module', '-e', code], { cwd: project.path });
  expect(stdout).toBe(version);
});

test.each(NODES)('the command line starts with Node %s', async (version) => {
  const bin = join(project.path, 'node_modules/@snapstep/cli/dist/main.js');
  const { stdout } = await execa(await installedNode(version), [bin, '--help'], { cwd: project.path });
  expect(stdout).toContain('snapstep');
});

describe('a consumer in strict TypeScript that checks the declarations too', () => {
  test.each(['nodenext', 'bundler'])('compiles with module resolution %s', async (moduleResolution) => {
    const lines = (await entries()).map((entry, i) => `export * as e${i} from '${entry.specifier}';`);
    await writeFile(join(project.path, 'everything.ts'), lines.join('\n'));
    await writeFile(join(project.path, 'consumer.ts'), CONSUMER);
    const compilerOptions = {
      target: 'es2022',
      module: moduleResolution === 'bundler' ? 'esnext' : 'nodenext',
      moduleResolution,
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      skipLibCheck: false,
      noEmit: true,
      types: ['node'],
    };
    const files = ['everything.ts', 'consumer.ts'];
    await writeFile(join(project.path, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
    const tsc = join(repository, 'node_modules/.bin/tsc');
    const { stdout } = await execa(tsc, ['--pretty', 'false'], { cwd: project.path, reject: false });
    expect(stdout).toBe('');
  });

  const CONSUMER = `
import { type Builder, type BuildError, parseSpec } from '@snapstep/core';
import { ok, type Result, type Store } from '@snapstep/core/backend';

export function describeError(error: BuildError): string {
  switch (error.type) {
    case 'step-failed':
      return error.stage;
    case 'cancelled':
      return String(error.reason);
    default:
      return error.message;
  }
}

export async function keys(builder: Builder, store: Store): Promise<Result<readonly string[], BuildError>> {
  const spec = parseSpec('((from busybox))');
  if (spec.isErr()) throw new Error(spec.error.message);
  const planned = await builder.plan({ spec: spec.value });
  if (planned.isErr()) return planned.map(() => []);
  await using copy = store;
  return ok(planned.value.map((step) => copy.name + (step.key ?? '')));
}

// @ts-expect-error: a plain string is no step key
export const wrong: Parameters<Builder['explain']>[0] = 'abc';
`;
});

async function buildAndPack(directory: string): Promise<string> {
  await execa('pnpm', ['run', 'build'], { cwd: repository });
  const problem = await packAll(directory, AbortSignal.timeout(60_000));
  if (problem !== undefined) throw new Error(problem);
  return directory;
}

async function installInto(directory: string, packed: readonly Tarball[]): Promise<void> {
  const locations = Object.fromEntries(packed.map(({ name, path }) => [name, `file:${path}`]));
  const dependencies = { ...locations, neverthrow: '^8.2.0', '@types/node': '^24.0.0' };
  await writeFile(
    join(directory, 'package.json'),
    JSON.stringify({ name: 'consumer', private: true, type: 'module', dependencies }),
  );
  // Without the overrides it would ask the registry for the packages that ours depend on, which are also ours.
  await writeFile(join(directory, 'pnpm-workspace.yaml'), JSON.stringify({ overrides: locations }));
  await execa('pnpm', ['install', '--prefer-offline', '--no-frozen-lockfile'], { cwd: directory });
}

/** The entries of all packages: what to import, and the source it was built from. */
async function entries(): Promise<readonly { readonly specifier: string; readonly source: string }[]> {
  const all = tarballs.map(async ({ name }) => {
    const source = join(repository, 'packages', name.replace('@snapstep/', ''));
    const text = await readFile(join(source, 'package.json'), 'utf8');
    const { exports } = JSON.parse(text) as { exports: Record<string, string> };
    return Object.entries(exports).map(([subpath, file]) => ({
      specifier: join(name, subpath),
      source: join(source, file),
    }));
  });
  return (await Promise.all(all)).flat();
}

async function exportsOf(node: string, specifier: string): Promise<string[]> {
  const code = `console.log(JSON.stringify(Object.keys(await import('${specifier}')).sort()))`;
  const { stdout } = await execa(node, ['--input-type=module', '-e', code], { cwd: project.path });
  return JSON.parse(stdout) as string[];
}
