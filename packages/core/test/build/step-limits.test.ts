import { totalmem } from 'node:os';
import { join } from 'node:path';
import { tempDir } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import {
  type BuilderOptions,
  type BuildLimits,
  type LimitName,
  openBuilder,
  type ResourceLimits,
  toHostPath,
} from '../../src/index.ts';
import { memoryStore, scriptedFetcher, scriptedSandbox } from '../../src/testing/index.ts';
import { request } from './world.ts';

const ALL: readonly LimitName[] = ['memoryBytes', 'cpus', 'pids', 'timeoutMs', 'silenceMs'];
const SPEC = '((from base) (run (shell go)))';

interface Asked {
  readonly enforces?: readonly LimitName[];
  readonly builder?: BuilderOptions<never>['limits'];
  readonly build?: BuildLimits;
}

/** The limits that the sandbox gets, or the error. */
async function limitsOf({ enforces = ALL, builder, build }: Asked): Promise<ResourceLimits | string> {
  await using dir = await tempDir();
  await using store = await memoryStore();
  await using fetcher = scriptedFetcher({ base: {} });
  const seen: ResourceLimits[] = [];
  await using scripted = scriptedSandbox({
    go: async (io) => {
      seen.push(io.request.limits);
      return 0;
    },
  });
  const sandbox = { ...scripted, enforces };
  const options = { store, sandbox, fetcher, stateDir: toHostPath(join(dir.path, 'state')) };
  const opened = await openBuilder({ ...options, ...(builder && { limits: builder }) });
  if (opened.isErr()) return opened.error.message;
  await using open = opened.value;
  const made = await open.build(request(SPEC, build && { limits: build }));
  if (made.isErr()) return made.error.message;
  await made.value[Symbol.asyncDispose]();
  return seen[0] ?? 'nothing was run';
}

describe('a step whose build says nothing of its limits', () => {
  it('has 4096 processes and most of the memory', async () => {
    const limits = (await limitsOf({})) as ResourceLimits;
    expect(Object.keys(limits).sort()).toEqual(['memoryBytes', 'pids']);
    expect(limits.pids).toBe(4096);
    expect(limits.memoryBytes).toBeLessThanOrEqual(totalmem() * 0.75);
    expect(limits.memoryBytes).toBeGreaterThan(0);
    expect(Number.isInteger(limits.memoryBytes)).toBe(true);
  });

  it('has what its builder says instead, as far as it says something', async () => {
    const builder = { pids: 7, memoryBytes: Infinity, timeoutMs: 60_000 };
    expect(await limitsOf({ builder })).toEqual({ pids: 7, timeoutMs: 60_000 });
  });

  it('has only those that the sandbox enforces', async () => {
    expect(await limitsOf({ enforces: ['pids'] })).toEqual({ pids: 4096 });
    expect(await limitsOf({ enforces: [], builder: { pids: Infinity } })).toEqual({});
  });
});

describe('a build', () => {
  it('has its own limits, and those of its builder where it has none', async () => {
    const builder = { memoryBytes: 100_000_000, pids: 7 };
    expect(await limitsOf({ builder, build: { pids: 9, cpus: 2 } })).toEqual({
      ...{ memoryBytes: 100_000_000, pids: 9, cpus: 2 },
    });
  });

  it('may have no limit, also where the sandbox knows none', async () => {
    const build = { pids: Infinity, memoryBytes: Infinity, logBytes: Infinity };
    expect(await limitsOf({ build })).toEqual({});
    expect(await limitsOf({ enforces: [], build })).toEqual({});
  });
});

it('opens no builder with a limit that its sandbox cannot enforce, or that is none', async () => {
  expect(await limitsOf({ enforces: ['pids'], builder: { memoryBytes: 1e9 } })).toBe(
    'the scripted sandbox cannot enforce the limit "memoryBytes" on this machine',
  );
  await expect(limitsOf({ builder: { pids: 0 } })).rejects.toThrow('the limit "pids" is 0');
});
