import { setTimeout as delay } from 'node:timers/promises';
import { inspect } from 'node:util';
import type { Outcome as CallOutcome } from '@snapstep/core';
import type { Answer } from '../answer.ts';

/** Within this all of the small builds here are long done, also on a busy machine. */
const PATIENCE_MS = 120_000;

interface Asked<T> {
  readonly answer: Answer;
  /** Of an `ok`. */
  readonly value: T | undefined;
}

/** Makes a public call, and tells how it ended, whatever it does. */
export async function ask<T>(call: string, work: () => CallOutcome<T, object>): Promise<Asked<T>> {
  let pending: CallOutcome<T, object>;
  try {
    pending = work();
  } catch (error) {
    return { answer: { call, outcome: 'thrown', text: inspect(error) }, value: undefined };
  }
  const answer = pending.then(
    (result): Asked<T> =>
      result.isOk()
        ? { answer: { call, outcome: 'ok' }, value: result.value }
        : { answer: refusal(call, result.error), value: undefined },
    (error): Asked<T> => ({ answer: { call, outcome: 'rejected', text: inspect(error) }, value: undefined }),
  );
  return inTime(call, answer);
}

/** Disposes a part, which must never reject. */
export async function close(call: string, part: AsyncDisposable): Promise<Answer> {
  const closed = (async () => part[Symbol.asyncDispose]())().then(
    (): Asked<void> => ({ answer: { call, outcome: 'ok' }, value: undefined }),
    (error): Asked<void> => ({
      answer: { call, outcome: 'rejected', text: inspect(error) },
      value: undefined,
    }),
  );
  return (await inTime(call, closed)).answer;
}

/** A failure is told by a tag and a sentence; one without is as useless as a rejection. */
function refusal(call: string, error: object): Answer {
  const { type, message, reason } = error as Readonly<Record<string, unknown>>;
  const text = type === 'cancelled' ? String(reason) : message;
  if (typeof type === 'string' && typeof text === 'string' && text !== '')
    return { call, outcome: 'err', text: `${type}: ${text}` };
  return { call, outcome: 'rejected', text: `an error without a tag or a sentence: ${inspect(error)}` };
}

async function inTime<T>(call: string, answer: PromiseLike<Asked<T>>): Promise<Asked<T>> {
  const over = new AbortController();
  const late = delay(PATIENCE_MS, undefined, { signal: over.signal }).then(
    (): Asked<T> => ({
      answer: { call, outcome: 'hung', text: `no answer in ${PATIENCE_MS} ms` },
      value: undefined,
    }),
  );
  late.catch(() => {}); // Over, because the answer came first.
  try {
    return await Promise.race([answer, late]);
  } finally {
    over.abort();
  }
}
