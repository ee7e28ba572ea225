import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tempDir } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';

const PAGE = join(import.meta.dirname, '../../docs/embedding.md');

describe('the programs about testing a program that embeds Snapstep', () => {
  it('build, and expect commands in order', async () => {
    expect(await runOnPage('testBuild')).toEqual(['make check', 'curl up']);
  });
  it('move the time', async () => {
    expect(await runOnPage('testTimeout')).toBe('limit-exceeded');
  });
  it('fill the disk, which makes the builder prune and try again', async () => {
    expect(await runOnPage('testFullDisk')).toBe('small large large');
  });
});

/** Runs a program of the page, which takes a directory. It lies in the repository for a moment, to find our packages. */
async function runOnPage(name: string): Promise<unknown> {
  const page = readFileSync(PAGE, 'utf8');
  const programs = [...page.matchAll(/^```ts\n(.*?)^```/gms)].map(([, text = '']) => text);
  const program = programs.find((text) => text.includes(`function ${name}(`));
  const code = await mkdtemp(join(import.meta.dirname, 'generated-'));
  await using dir = await tempDir();
  try {
    const file = join(code, `${name}.ts`);
    await writeFile(file, program ?? '');
    return await (await import(file))[name](join(dir.path, 'state'));
  } finally {
    await rm(code, { recursive: true });
  }
}
