import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { needs } from '@snapstep/test-support';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sanitizeText, toJson } from '../src/progress/sanitize.ts';
import { onTerminal, type Workplace, workplace } from './support.ts';

/** Moves, rings, colours, and turns text round: ESC, CR, BEL, DEL, two of C1, a line separator and two of direction. */
const EVIL = '\u001b[2J\r\u0007\u007f\u009b31m\u0085\u2028\u202e\u2066';
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there.
const OBEYED = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/u;

/** As a spec has it. */
const evil = [...Buffer.from(EVIL)].map((byte) => `\\${String(byte).padStart(3, '0')}`).join('');

describe('what the command line prints', () => {
  const nasty = fc.string({
    unit: fc.constantFrom(...EVIL, 'a', 'é', '\n', '\t', ' ', ';', ']', '0', '\u001b]'),
  });

  it('has no control character, and loses no other line or letter', () => {
    fc.assert(fc.property(nasty, (text) => !OBEYED.test(sanitizeText(text))));
    const plain = fc.string({ unit: fc.constantFrom('a', 'é', '漢', '\n', ' ', '"', '\\') });
    fc.assert(fc.property(plain, (text) => sanitizeText(text) === text));
    expect(sanitizeText('snapstep: "a\rb\u0007c\td"\r\nnext')).toBe('snapstep: "abc    d"\nnext');
  });

  it('means as JSON what it meant, and has no control character either', () => {
    fc.assert(
      fc.property(nasty, fc.constantFrom(undefined, 2), (text, indent) => {
        const json = toJson({ [text]: [text] }, indent === undefined ? {} : { indent });
        expect(json).not.toMatch(OBEYED);
        expect(sanitizeText(json)).toBe(json);
        expect(JSON.parse(json)).toEqual({ [text]: [text] });
      }),
    );
  });
});

needs(
  'root',
  'busybox',
  'rsync',
  'runc',
)('control characters in names', () => {
  let place: Workplace;
  let spec: string;
  let key: string;
  beforeAll(async () => {
    place = await workplace();
    spec = join(place.path, 'evil.spec');
    await writeFile(join(place.path, `file${EVIL}`), 'x');
    await writeFile(
      spec,
      `((build "stage${evil}" ((from busybox) (shell /bin/sh -c)
          (run (cache ("cache${evil}" (target /c))) (shell "printf '${evil}one\\\\n'; touch /f # ${evil}"))))
        (from busybox) (shell /bin/sh -c) (env "NAME" "${evil}") (comment "${evil}")
        (copy (from (build "stage${evil}")) (src /f) (dst "/f${evil}"))
        (copy (src "file${evil}") (dst /g))
        (run (shell "printf '${evil}two\\\\n' # ${evil}")))\n`,
    );
    const built = await run('build', '-f', spec, '--progress', 'plain', ...place.image(), place.path);
    expect(built).toMatchObject({
      exitCode: 0,
      stderr: expect.stringMatching(/^stage(31m)? 2\/2 \| \(run /m),
    });
    key = built.stdout.trim();
  });
  afterAll(() => place?.[Symbol.asyncDispose]());

  /** Runs a command, nothing of which may reach a terminal as a command. */
  const run = async (...args: readonly string[]) => {
    const outcome = await place.snapstep(args);
    expect(outcome.stdout).not.toMatch(OBEYED);
    expect(outcome.stderr).not.toMatch(OBEYED);
    return outcome;
  };
  const specOf = async (text: string): Promise<string> => {
    const file = join(place.path, 'other.spec');
    await writeFile(file, text);
    return file;
  };

  it.each([
    ['plan', '--explain'],
    ['build', '--progress', 'plain'],
  ])('of a spec are not obeyed by who sees: %s %s', async (command, ...more) => {
    const { exitCode, stdout, stderr } = await run(
      command,
      '-f',
      spec,
      ...place.image(),
      ...more,
      place.path,
    );
    expect(exitCode).toBe(0);
    expect(stdout + stderr).toContain('stage');
  });

  it.each([
    ['ls'],
    ['df'],
    ['doctor'],
    ['cache', 'ls'],
    ['base-image', 'ls'],
    ['prune', '--keep-free', '1%'],
  ])('of what is saved are not obeyed by who sees: %s %s', async (...args) => {
    const { stdout, stderr } = await run(...args);
    expect(stdout + stderr).not.toBe('');
  });

  it('are in what a program reads, as JSON escapes them', async () => {
    const lines = async (...args: string[]): Promise<Record<string, unknown>[]> => {
      const { stdout, stderr } = await run(...args);
      const text = args[0] === 'build' ? stderr : stdout;
      return text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line));
    };
    const asked = ['-f', spec, ...place.image(), place.path];
    const stages = (all: Record<string, unknown>[]) => all.map(({ stage }) => stage);
    expect(stages(await lines('plan', '--json', '--explain', ...asked))).toContain(`stage${EVIL}`);
    const failing = await specOf(`((build "stage${evil}" ((from busybox) (shell /bin/sh -c)
        (run (shell "printf '${evil}'; exit 3")))) (from busybox)
      (copy (from (build "stage${evil}")) (src /f) (dst /f)))`);
    const events = await lines('build', '--progress', 'json', '-f', failing, ...place.image());
    expect(stages(events)).toContain(`stage${EVIL}`);
    expect(events.map(({ text }) => text).join('')).toContain(EVIL);
    expect((await lines('ls', '--json')).map(({ key: each }) => each)).toContain(key);
    expect(JSON.stringify(await lines('explain', '--json', key))).toContain(
      JSON.stringify(EVIL).slice(1, -1),
    );
    await run('explain', key);
  });

  it.each([
    ['a name that is no image', `((from "no such${evil}"))`],
    ['a stage that is not there', `((from busybox) (copy (from (build "x${evil}")) (src /a) (dst /b)))`],
    ['a word that no spec has', `((from busybox) ("what${evil}" 1))`],
    ['a word as it is', `((from busybox) (what${EVIL.replaceAll(/[\r\u0085\u2028]/g, '')} 1))`],
    ['a file that is not there', `((from busybox) (copy (src "missing${evil}") (dst /b)))`],
    ['a secret', `((from busybox) (run (secrets ("se${evil}" (target /s))) (shell x)))`],
    ['a user', `((from busybox) (user (name "u${evil}")) (shell /bin/sh -c) (run (shell x)))`],
    ['a shell', `((from busybox) (shell "/no${evil}") (run (shell "x${evil}")))`],
    [
      'a command that fails',
      `((from busybox) (shell /bin/sh -c) (run (shell "printf '${evil}'; false ${evil}")))`,
    ],
    ['a cache', `((from busybox) (run (cache ("${evil.repeat(20)}" (target /c))) (shell x)))`],
  ])('of an error are not obeyed: %s', async (_, text) => {
    const file = await specOf(text);
    const asked = ['build', '-f', file, '--progress', 'plain', ...place.image(), place.path];
    const { exitCode, stderr } = await run(...asked);
    expect([1, 2, 3]).toContain(exitCode);
    expect(stderr).not.toBe('');
  });

  it.each([
    ['log', EVIL],
    [EVIL],
    ['build', `--${EVIL}`],
    ['check', `a${EVIL}`],
    ['fmt', '--check', `a${EVIL}`],
    ['cache', 'rm', EVIL],
    ['ls', '--store', `x${EVIL}:/a`],
    ['build', '--image', `a${EVIL}=${EVIL}`],
  ])('of an argument are not obeyed: %s', async (...args) => {
    const { exitCode, stderr } = await run(...args);
    expect(exitCode).not.toBe(0);
    expect(stderr).not.toBe('');
  });

  it('of a log and a Dockerfile are for files and programs, and no terminal gets them', async () => {
    expect((await place.snapstep(['log', key])).stdout).toBe(`${EVIL}two\n`);
    expect((await onTerminal(place, ['log', key])).output).toMatch(/two\r?$/);
    const commands = [
      ['log', key],
      ['dockerfile', '-f', spec, '--buildkit'],
      ['fmt', '-f', spec],
      ['ls'],
      ['cache', 'ls'],
    ];
    for (const args of commands) {
      const { output } = await onTerminal(place, args);
      expect(output).not.toBe('');
      expect(output.replaceAll('\r\n', '\n').replace(/\r$/, '')).not.toMatch(OBEYED);
    }
  });

  it('of a stage are not in the live view, which has some of its own', async () => {
    const { output } = await onTerminal(place, ['build', '-f', spec, ...place.image(), place.path]);
    expect(output).toContain('stage');
    expect(output).not.toContain('\u001b[2J');
    for (const char of ['\u0007', '\u007f', '\u009b', '\u0085', '\u2028', '\u202e', '\u2066'])
      expect(output).not.toContain(char);
  });
});
