import { sanitizeText } from './progress/sanitize.ts';

/**
 * Writes lines for people to standard output, and waits until the reader took them. A reader that went away is not an
 * error here. Names in the lines may come from specs, images and files of others, so nothing goes out that a terminal obeys.
 */
export function writeOut(text: string): Promise<void> {
  return write(process.stdout, sanitizeText(text));
}

/** The same for standard error. */
export function writeErr(text: string): Promise<void> {
  return write(process.stderr, sanitizeText(text));
}

/** Writes what a file or a program is to get as it is to standard output; to a terminal as {@link writeOut} does. */
export function writeData(text: string): Promise<void> {
  return process.stdout.isTTY ? writeOut(text) : write(process.stdout, text);
}

/** Writes bytes to standard output, as they are: not for a terminal. */
export function writeBytes(chunk: Uint8Array): Promise<void> {
  return write(process.stdout, chunk);
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
