import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { repository, runTool } from './run-tool.ts';

export interface Tarball {
  readonly name: string;
  readonly version: string;
  readonly path: string;
}

/** The packages that are published, by the names of their manifests. */
export async function publishedTarballs(directory: string): Promise<readonly Tarball[]> {
  const names = await readdir(join(repository, 'packages'));
  return Promise.all(names.sort().map((name) => tarballOf(join(repository, 'packages', name), directory)));
}

async function tarballOf(packageDirectory: string, directory: string): Promise<Tarball> {
  const text = await readFile(join(packageDirectory, 'package.json'), 'utf8');
  const { name, version } = JSON.parse(text) as { name: string; version: string };
  const file = `${name.replace('@', '').replace('/', '-')}-${version}.tgz`;
  return { name, version, path: join(directory, file) };
}

/**
 * Packs every package, which must be built, into a directory of its own, as it would be published.
 *
 * @returns What went wrong, if something did.
 */
export async function packAll(directory: string, signal: AbortSignal): Promise<string | undefined> {
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  return runTool(
    ['pnpm', '--filter', './packages/*', '-r', 'exec', 'pnpm', 'pack', '--pack-destination', directory],
    { signal },
  );
}
