import { existsSync, globSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseSpec, printSpec } from '@snapstep/core';
import { busyboxRootfs, expectOk, needs, tempDir } from '@snapstep/test-support';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const README = read('README.md');
const PAGES = globSync(['*.md', 'docs/**/*.md', 'packages/*/*.md', 'examples/*/*.md'], { cwd: ROOT });

function read(page: string): string {
  return readFileSync(join(ROOT, page), 'utf8');
}

/** The text of each fenced block of one language. */
function blocks(page: string, language: string): string[] {
  return [...page.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'gms'))].map(
    (match) => match[1] ?? '',
  );
}

/** A directory in the repository, where imports find our packages as any code in it would. */
async function codeDir(): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(ROOT, 'test/docs/generated-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

needs('root', 'busybox')('the program in the README', () => {
  it('builds what it says, in 15 lines', async () => {
    await using dir = await tempDir();
    await using code = await codeDir();
    const rootfs = join(dir.path, 'rootfs');
    await mkdir(rootfs);
    await busyboxRootfs(rootfs, ['sh', 'echo']);
    const [program = ''] = blocks(README, 'ts');
    expect(program.trim().split('\n').length).toBeLessThanOrEqual(15);
    const images = `images: new Map([['debian:12', 'rootfs:${rootfs}']])`;
    const ours = program
      .replace('/var/lib/my-ci', dir.path)
      .replace("dir('images') })", `dir('images'), ${images} })`);
    const file = join(code.path, 'program.ts');
    await writeFile(file, ours);
    const { stdout } = await execa(process.execPath, [file]);
    expect(stdout.split('\n').at(-1)).toMatch(/^built [0-9a-f]{64}$/);
    expect(stdout).toContain('step-done');
  });
});

describe('the pages', () => {
  it('have programs that compile', { timeout: 120_000 }, async () => {
    await using code = await codeDir();
    let count = 0;
    for (const page of PAGES) {
      for (const program of blocks(read(page), 'ts')) {
        count += 1;
        await writeFile(
          join(code.path, `${page.replaceAll('/', '-')}-${count}.ts`),
          `${program}\nexport {};\n`,
        );
      }
    }
    const config = {
      extends: '../../../tsconfig.json',
      compilerOptions: { noEmit: true },
      include: ['*.ts'],
    };
    await writeFile(join(code.path, 'tsconfig.json'), JSON.stringify(config));
    const { stdout, exitCode } = await execa(join(ROOT, 'node_modules/.bin/tsc'), ['-p', code.path], {
      reject: false,
    });
    expect(stdout).toBe('');
    expect(exitCode).toBe(0);
    expect(count).toBeGreaterThan(4);
  });

  it('have specs that parse, and print and parse again to the same', () => {
    const specs = PAGES.flatMap((page) => blocks(read(page), 'lisp'));
    expect(specs.length).toBeGreaterThan(1);
    for (const text of specs) {
      const spec = expectOk(parseSpec(text));
      expect(expectOk(parseSpec(printSpec(spec)))).toEqual(spec);
    }
  });

  it('have links that lead somewhere', () => {
    for (const page of PAGES) {
      for (const [, target = ''] of read(page).matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g)) {
        expect(existsSync(join(ROOT, dirname(page), target)), `${page} links to ${target}`).toBe(true);
      }
    }
  });

  it('name only commands and options that the command line has', { timeout: 300_000 }, async () => {
    const help = async (...args: string[]): Promise<string> =>
      (await execa(process.execPath, [join(ROOT, 'packages/cli/src/main.ts'), ...args, '--help'])).stdout;
    const commands = new Set([...(await help()).matchAll(/^ {2}([a-z]+) /gm)].map((match) => match[1]));
    const shown = PAGES.flatMap((page) => [...read(page).matchAll(/snapstep ([a-z]+)((?: --?[a-z-]+)*)/g)]);
    const used = shown.filter(([, command = '']) => commands.has(command));
    expect(used.length).toBeGreaterThan(5);
    for (const [text, command = '', options = ''] of used) {
      const known = await help(command);
      for (const option of options.trim().split(' ').filter(Boolean)) expect(known, text).toContain(option);
    }
  });
});
