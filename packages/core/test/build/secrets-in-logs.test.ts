import { expectErr, expectOk } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import type { Builder, StepKey } from '../../src/index.ts';
import type { ScriptedCommand } from '../../src/testing/index.ts';
import { built, gate, listen, openWorld, request } from './world.ts';

const BASE = 'unpacked base\n';
const WITH = '((from base) (run (secrets (token (target /t))) (shell a)))';
const TOKEN = new Map([['token', Buffer.from('hunter2-secret\n')]]);

function prints(chunks: readonly string[], exit = 0): ScriptedCommand {
  return async ({ request: { output } }) => {
    for (const chunk of chunks) await output.write(chunk);
    return exit;
  };
}

async function logOf(builder: Builder, key: StepKey): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of expectOk(await builder.log(key))?.follow() ?? []) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

describe('a secret that its step prints', () => {
  it('is masked while it is printed, in what is kept, and when that is played again', async () => {
    await using world = await openWorld({ a: prints(['the token is hunter2', '-secret\n', 'hunter']) });
    const [live, played] = [listen(), listen()];
    const key = await built(world.builder, WITH, { secrets: TOKEN, ...live });
    await built(world.builder, WITH, { secrets: TOKEN, ...played });
    const log = 'the token is ***\nhunter';
    expect(await logOf(world.builder, key)).toBe(log);
    expect(live.output()).toBe(`${BASE}${log}`);
    expect(played.output()).toBe(`${BASE}${log}`);
    expect(world.sandbox.ran).toEqual(['a']);
  });

  it('is masked where its value has a version, and where the step fails', async () => {
    await using world = await openWorld({ a: prints(['hunter2-secret: refused\n'], 3) });
    const secrets = new Map([['token', { value: Buffer.from('hunter2-secret'), version: '1' }]]);
    const heard = listen();
    const error = expectErr(await world.builder.build(request(WITH, { secrets, ...heard })));
    if (error.type !== 'step-failed') throw new Error(`the build ended otherwise: ${error.type}`);
    expect(await logOf(world.builder, error.key)).toBe('***: refused\n');
    expect(heard.output()).toBe(`${BASE}***: refused\n`);
    expect(JSON.stringify([error, heard.events])).not.toContain('hunter2');
  });

  it('leaves no half of itself where the log is cut at its limit', async () => {
    const line = Array(50).fill('hunter2-secret').join(' ');
    await using world = await openWorld({ a: prints([line]) });
    for (let limit = 40; limit < 60; limit += 1) {
      const secret = { value: Buffer.from('hunter2-secret'), version: `${limit}` };
      const how = { secrets: new Map([['token', secret]]), limits: { logBytes: limit } };
      const log = await logOf(world.builder, await built(world.builder, WITH, how));
      expect(log).toMatch(/^[* ]+\n\[\.\.\. .* left out.*\n[* ]+$/);
    }
  });

  it('is masked for a build that joined the step, whatever secrets it has itself', async () => {
    const { command, started, open } = gate('hunter2-secret or s3cond-value\n');
    await using world = await openWorld({ a: command });
    const [first, second] = [listen(), listen()];
    const one = world.builder.build(request(WITH, { secrets: TOKEN, ...first }));
    await started;
    const joined = Promise.withResolvers<void>();
    const two = world.builder.build(
      request(WITH, {
        secrets: new Map([['token', Buffer.from('s3cond-value')]]),
        onEvent: (event) => {
          second.onEvent(event);
          if (event.type === 'step-started' && event.source === 'joined') joined.resolve();
        },
      }),
    );
    await joined.promise;
    open();
    for (const result of [await one, await two]) await expectOk(result)[Symbol.asyncDispose]();
    for (const { output } of [first, second]) expect(output()).toBe(`${BASE}*** or s3cond-value\n`);
  });

  it('is masked in the steps that ask for it; the output of others goes straight to the log', async () => {
    await using world = await openWorld({ a: prints(['hunter2-secret\n']) });
    const heard = listen();
    await built(world.builder, '((from base) (run (shell a)))', { secrets: TOKEN, ...heard });
    expect(heard.output()).toBe(`${BASE}hunter2-secret\n`);
  });
});
