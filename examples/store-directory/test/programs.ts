import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../../..');

export function read(file: string): string {
  return readFileSync(join(root, file), 'utf8');
}

/** The text of each fenced block of one language on a page. */
export function blocks(page: string, language: string): string[] {
  const fences = new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms');
  return [...read(page).matchAll(fences)].map(([, text = '']) => text);
}

/**
 * The programs of a page, each in a file named after the function that it exports, beside others that a test wants to
 * run with them. They lie in this package for a moment, to find ours by name.
 */
export async function programsOf(
  page: string,
  others: Readonly<Record<string, string>> = {},
): Promise<{ readonly path: (name: string) => string } & AsyncDisposable> {
  const directory = await mkdtemp(join(import.meta.dirname, 'generated-'));
  const path = (name: string): string => join(directory, `${name}.ts`);
  for (const program of blocks(page, 'ts')) {
    const [, name = ''] = /^export (?:async )?function (\w+)/m.exec(program) ?? [];
    await writeFile(path(name), program);
  }
  for (const [name, text] of Object.entries(others)) await writeFile(path(name), text);
  return { path, [Symbol.asyncDispose]: () => rm(directory, { recursive: true }) };
}
