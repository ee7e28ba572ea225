import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expectErr, expectOk, tempDir } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { type HostPath, toHostPath, toStepKey } from '../../src/index.ts';
import type { StepLog } from '../../src/log/step-log.ts';
import { type LogFile, StepLogs } from '../../src/log/step-logs.ts';

const KEY = toStepKey('ab'.repeat(32));
const OTHER = toStepKey('cd'.repeat(32));
const LIMIT = { limit: 100 };

interface Place extends AsyncDisposable {
  readonly directory: HostPath;
  readonly logs: StepLogs;
}

async function place(): Promise<Place> {
  const dir = await tempDir();
  const directory = toHostPath(join(dir.path, 'logs'));
  return {
    directory,
    logs: new StepLogs(directory),
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  };
}

async function print({ logs }: Place, text: string, key = KEY): Promise<void> {
  const writer = logs.begin(key, LIMIT);
  await writer.write(text);
  await writer.end();
}

async function textOf(chunks: AsyncIterable<Uint8Array> | undefined): Promise<string> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks ?? []) all.push(chunk);
  return Buffer.concat(all).toString();
}

async function find({ logs }: Place): Promise<StepLog | undefined> {
  return expectOk(await logs.find(KEY));
}

async function filesOf({ logs }: Place): Promise<readonly LogFile[]> {
  const all: LogFile[] = [];
  for await (const file of logs.files()) all.push(file);
  return all;
}

describe('the logs of steps', () => {
  it('have that of a step that has ended, to be followed and watched alike', async () => {
    await using at = await place();
    expect(await find(at)).toBeUndefined();
    await print(at, 'text');
    const log = await find(at);
    expect(log?.key).toBe(KEY);
    expect(await textOf(log?.follow())).toBe('text');
    expect(await textOf(log?.watch())).toBe('text');
  });

  it('say so where one cannot be looked at', async () => {
    await using at = await place();
    await print(at, '', OTHER);
    await mkdir(join(at.directory, 'ab'));
    await symlink(`${KEY}.log`, join(at.directory, 'ab', `${KEY}.log`));
    expect(expectErr(await at.logs.find(KEY))).toMatchObject({
      type: 'failed',
      message: expect.stringContaining('ELOOP'),
    });
  });

  it('lose one that is removed, but not that of a step that runs', async () => {
    await using at = await place();
    await print(at, 'first');
    at.logs.remove(KEY);
    expect(await find(at)).toBeUndefined();
    const writer = at.logs.begin(KEY, LIMIT);
    await writer.write('second');
    at.logs.remove(KEY);
    await writer.end();
    expect(await textOf((await find(at))?.follow())).toBe('second');
  });

  it('are listed with their sizes and times, and nothing else that lies there', async () => {
    await using at = await place();
    expect(await filesOf(at)).toEqual([]);
    const before = Date.now();
    await print(at, 'text');
    await print(at, 'more text', OTHER);
    const below = (...names: string[]): string => join(at.directory, ...names);
    await writeFile(below('a file'), '');
    await writeFile(below('ab', 'notes.log'), '');
    await mkdir(below('ab', `${OTHER}.log`));
    await symlink('nowhere', below('ab', `${'ef'.repeat(32)}.log`));
    const files = await filesOf(at);
    expect(files.map(({ key, bytes, path }) => ({ key, bytes, path }))).toEqual(
      expect.arrayContaining([
        { key: KEY, bytes: 4, path: below('ab', `${KEY}.log`) },
        { key: OTHER, bytes: 9, path: below('cd', `${OTHER}.log`) },
      ]),
    );
    expect(files).toHaveLength(2);
    for (const { writtenAt } of files) expect(Math.abs(writtenAt - before)).toBeLessThan(60_000);
  });
});
