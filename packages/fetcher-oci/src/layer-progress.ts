import { type FSWatcher, watch } from 'node:fs';
import { mkdir, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { LogSink } from '@snapstep/core/backend';

/**
 * Writes a line to the log for each layer that arrives in an OCI layout which another program fills.
 *
 * skopeo names a blob only once it is whole and verified, and prints nothing of the kind itself where its output
 * is no terminal. Disposing it writes what was not seen yet and waits for the log; it rejects with what the log rejected
 * with, however long ago.
 */
export async function watchLayers(layout: string, log: LogSink): Promise<AsyncDisposable> {
  const blobs = join(layout, 'blobs', 'sha256');
  await mkdir(blobs, { recursive: true });
  const started = performance.now();
  const seen = new Set<string>();
  let writing: Promise<void> = Promise.resolve();
  let failure: { readonly reason: unknown } | undefined;
  const report = (name: string | null): void => {
    if (name === null || !/^[0-9a-f]{64}$/.test(name) || seen.has(name)) return;
    seen.add(name);
    const seconds = (performance.now() - started) / 1000;
    writing = writing
      .then(async () => {
        if (failure !== undefined) return;
        const isWhole = await reportLayer(join(blobs, name), { seconds, log });
        if (!isWhole) seen.delete(name);
      })
      // Nobody waits before the end, and a rejection that nobody hears ends the process.
      .catch((reason: unknown) => {
        failure = { reason };
      });
  };
  const watcher = tryWatch(blobs, report);
  return {
    async [Symbol.asyncDispose]() {
      watcher?.close();
      await writing;
      for (const name of await readdir(blobs).catch(() => [])) report(name);
      await writing;
      if (failure !== undefined) throw failure.reason;
    },
  };
}

/** Progress is a comfort: where there are no more watches to be had, the lines come at the end. */
function tryWatch(directory: string, report: (name: string | null) => void): FSWatcher | undefined {
  try {
    return watch(directory, (_, name) => report(name)).on('error', () => undefined);
  } catch {
    return undefined;
  }
}

/** @returns False if there is nothing in the file yet: its name was seen before its content. */
async function reportLayer(
  path: string,
  { seconds, log }: { readonly seconds: number; readonly log: LogSink },
): Promise<boolean> {
  const opened = await open(path).catch(() => undefined);
  if (opened === undefined) return false;
  await using file = opened;
  const { size } = await file.stat();
  const { buffer, bytesRead } = await file.read(Buffer.alloc(1), 0, 1, 0);
  if (bytesRead === 0) return false;
  const isJson = buffer[0] === '{'.charCodeAt(0);
  const line = `  layer ${path.slice(-64, -52)} ${megabytes(size)} after ${seconds.toFixed(1)} s\n`;
  if (!isJson) await log.write(line);
  return true;
}

/** Decimal megabytes, as registries count. */
function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 2 : 1)} MB`;
}
