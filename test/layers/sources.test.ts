import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';

const repository = resolve(import.meta.dirname, '../..');

describe('what the packages are made of', () => {
  // A worker slept for an hour in its event loop, and was thought to be dead.
  test('waits for no process and sleeps nowhere while nothing else can run (P10)', async () => {
    const blocking = [
      'Atomics\\.wait\\(',
      '(exec|execFile|spawn)Sync\\b',
      'execaSync',
      'receiveMessageOnPort',
    ];
    const found = await grep(blocking.join('|'), 'packages/*/src/**');
    // On a Mac, only a program tells which boot this is. It is asked once in the life of a process.
    const excused = /^packages\/core\/src\/backend\/boot-id\.ts:.*(import|'sysctl')/;
    expect(found.filter((line) => !excused.test(line))).toEqual([]);
  });

  // https://nvd.nist.gov/vuln/detail/CVE-2026-23745, and -26960: links in an archive led out of where it was unpacked.
  test('unpacks no archive in JavaScript, and no dependency of it does (C17)', async () => {
    const lock = await readFile(join(repository, 'pnpm-lock.yaml'), 'utf8');
    const locked = Array.from(
      lock.matchAll(/^ {2}'?((?:@[^/\s]+\/)?[^@\s']+)@[^:\s]+:/gm),
      ([, name]) => name,
    );
    expect(locked).toContain('neverthrow');
    const unpackers =
      /^(tar|tar-fs|tar-stream|streaming-tar|decompress|decompress-.*|unzipper|adm-zip|yauzl|extract-zip)$/;
    expect(locked.filter((name) => unpackers.test(`${name}`))).toEqual([]);
  });
});

/** The lines of our sources that match. */
async function grep(pattern: string, files: string): Promise<readonly string[]> {
  const { stdout, exitCode } = await execa('git', ['grep', '-nE', pattern, '--', files], {
    cwd: repository,
    reject: false,
  });
  expect([0, 1]).toContain(exitCode);
  return stdout === '' ? [] : stdout.split('\n');
}
