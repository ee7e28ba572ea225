import { access, mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { execa } from 'execa';

/** The program of that Node, from the npm registry; kept in .tools/ for the next time. */
export async function installedNode(version: string): Promise<string> {
  if (process.versions.node === version) return process.execPath;
  const name = `node-${process.platform}-${process.arch}`;
  const directory = resolve(import.meta.dirname, '../../.tools/nodes', version);
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
