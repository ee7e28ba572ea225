import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { openBuilder, orThrow, toHostPath } from '@snapstep/core';
import { memoryStore, type ScriptedCommand, scriptedFetcher, scriptedSandbox } from '@snapstep/core/testing';
import { tempDir } from '@snapstep/test-support';
import { expect, it } from 'vitest';
import { ciService } from '../src/service.ts';

/** Everything that the service may answer. */
interface Shown {
  readonly id: string;
  readonly state: string;
  readonly steps: readonly string[];
  readonly message?: string;
}

async function startService(script: Record<string, ScriptedCommand>) {
  const dir = await tempDir();
  const [store, sandbox] = [await memoryStore(), scriptedSandbox(script)];
  const fetcher = scriptedFetcher({ debian: {} });
  const stateDir = toHostPath(join(dir.path, 'state'));
  const builder = orThrow(await openBuilder({ store, sandbox, fetcher, stateDir }));
  const server = ciService(builder).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const json = async (path: string, init?: RequestInit) =>
    (await (await fetch(url + path, init)).json()) as Shown;
  return {
    url,
    json,
    /** Asks until the build has ended. */
    ended: async (id: string) => {
      for (;;) {
        const job = await json(`/builds/${id}`);
        if (job.state !== 'running') return job;
      }
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      for (const part of [builder, store, dir]) await part[Symbol.asyncDispose]();
    },
  };
}

const SPEC = '((from debian) (run (shell make)))';

it('builds a spec, and streams the log while the step runs', async () => {
  const { promise: goOn, resolve } = Promise.withResolvers<void>();
  await using service = await startService({
    make: async ({ request: { output } }) => {
      await output.write('compiling\n');
      await goOn;
      await output.write('done\n');
      return 0;
    },
  });
  const { id } = await service.json('/builds', { method: 'POST', body: SPEC });
  let job = await service.json(`/builds/${id}`);
  while (job.steps.length < 2) job = await service.json(`/builds/${id}`);
  const reader = (await fetch(`${service.url}/steps/${job.steps[1]}/log`)).body?.getReader();
  const first = await reader?.read();
  expect(Buffer.from(first?.value ?? []).toString()).toBe('compiling\n');
  resolve();
  expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe('done\n');
  expect(await service.ended(id)).toMatchObject({ state: 'passed', key: job.steps[1] });
});

it('tells what is wrong with a spec, and how a step failed', async () => {
  await using service = await startService({ make: async () => 2 });
  const bad = await service.json('/builds', { method: 'POST', body: '((from debian) (rum (shell make)))' });
  expect(bad).toMatchObject({ line: 1, message: expect.stringContaining('run') });
  const { id } = await service.json('/builds', { method: 'POST', body: SPEC });
  expect(await service.ended(id)).toMatchObject({ state: 'failed', message: 'the command exited with 2' });
});

it('cancels a build', async () => {
  await using service = await startService({
    make: ({ request: { signal } }) => once(signal, 'abort').then(() => 0),
  });
  const { id } = await service.json('/builds', { method: 'POST', body: SPEC });
  await service.json(`/builds/${id}`, { method: 'DELETE' });
  expect(await service.ended(id)).toMatchObject({ state: 'cancelled' });
});
