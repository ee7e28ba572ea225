import { CHUNK, closeFile, openFile, readAt } from './log-file.ts';
import type { FollowOptions } from './step-log.ts';

/** Reads a log that nobody writes to; one that is gone is empty. */
export async function* readEnded(path: string, options: FollowOptions = {}): AsyncGenerator<Uint8Array> {
  const file = await openFile(path);
  if (file === undefined) return;
  try {
    for (let position = options.from ?? 0; ; ) {
      options.signal?.throwIfAborted();
      const chunk = await readAt(file, { position, length: CHUNK });
      if (chunk.length === 0) return;
      position += chunk.length;
      yield chunk;
    }
  } finally {
    await closeFile(file);
  }
}
