/** Writes to standard output, and waits until the reader took it. A reader that went away is not an error here. */
export function writeOut(chunk: string | Uint8Array): Promise<void> {
  return write(process.stdout, chunk);
}

/** The same for standard error. */
export function writeErr(chunk: string | Uint8Array): Promise<void> {
  return write(process.stderr, chunk);
}

/** What goes wrong while writing is noticed by {@link watchOutput}, at one place for all writers. */
function write(stream: NodeJS.WriteStream, chunk: string | Uint8Array): Promise<void> {
  return new Promise((resolve) => stream.write(chunk, () => resolve()));
}

/**
 * Calls `onBroken` once if standard output or standard error cannot be written any more; the code is `EPIPE`
 * where the reader went away. It goes on watching until the process ends.
 */
export function watchOutput(onBroken: (error: NodeJS.ErrnoException) => void): void {
  let broken = false;
  const listener = (error: NodeJS.ErrnoException): void => {
    if (broken) return;
    broken = true;
    onBroken(error);
  };
  process.stdout.on('error', listener);
  process.stderr.on('error', listener);
}
