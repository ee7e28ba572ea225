import { isUtf8 } from 'node:buffer';
import type { BuildEvent } from '@snapstep/core';
import type { Failure } from '../failure.ts';
import { writeErr } from '../output.ts';
import type { Progress } from './progress.ts';
import { toJson } from './sanitize.ts';

/**
 * One JSON object per line: every event of the build, and what the command itself says (`announce`, `failed`).
 * A chunk of a log is `text` where it is valid UTF-8, and `base64` where it is not, so that no byte is lost.
 */
export function jsonProgress(): Progress {
  const line = (value: object): Promise<void> => writeErr(`${toJson(value, { replacer: plainErrors })}\n`);
  return {
    event: (event) => line(eventObject(event)),
    announce: (text) => void line({ type: 'announce', text }),
    fail: ({ exitCode, message }: Failure) => line({ type: 'failed', exitCode, message }),
    tailOf: () => [],
    [Symbol.asyncDispose]: async () => undefined,
  };
}

function eventObject(event: BuildEvent): object {
  if (event.type !== 'step-output') return event;
  const { chunk, ...rest } = event;
  const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  return isUtf8(bytes) ? { ...rest, text: bytes.toString() } : { ...rest, base64: bytes.toString('base64') };
}

/** An exception as the cause of a failure has no members that JSON would show. */
function plainErrors(_key: string, value: unknown): unknown {
  return value instanceof Error ? value.message : value;
}
