import { access, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { repository } from './run-tool.ts';

/** The oldest that the packages promise, the one they are built with, and the newest. */
export const NODES = ['22.18.0', '24.21.0', '26.10.0'] as const;

/** The program of that Node, from the npm registry; kept in .tools/ for the next time. */
export async function installedNode(version: string): Promise<string> {
  if (process.versions.node === version) return process.execPath;
  const name = `node-${process.platform}-${process.arch}`;
  const directory = join(repository, '.tools/nodes', version);
  const program = join(directory, 'node_modules', name, 'bin/node');
  if (await exists(program)) return program;
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, 'package.json'), '{ "private": true }\n');
  await execa('pnpm', ['add', '--ignore-workspace', '--ignore-scripts', `${name}@${version}`], {
    cwd: directory,
  });
  return program;
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
