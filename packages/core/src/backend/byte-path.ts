/**
 * A path in which each character stands for one byte, so that names that are not UTF-8 stay what they are,
 * and so that the order of strings is the order of bytes.
 */
export type BytePath = string;

export function toBytePath(text: string): BytePath {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** What the functions of `node:fs` take. */
export function toFsPath(path: BytePath): Buffer {
  return Buffer.from(path, 'latin1');
}

/** For people: bytes that are not UTF-8 become `\ufffd`. */
export function toReadable(path: BytePath): string {
  return toFsPath(path).toString('utf8');
}
