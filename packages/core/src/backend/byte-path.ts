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

/**
 * The characters that a path has as UTF-8, to be matched with patterns. A byte that is part of none becomes a half of a
 * surrogate pair, from U+DC80 on, which no text can hold; so it equals nothing but itself.
 */
export function toCharacters(path: BytePath): string {
  if (!/[\x80-\xff]/.test(path)) return path;
  const text = toReadable(path);
  if (toBytePath(text) === path) return text;
  return path.replace(
    /[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}|[\x80-\xff]/g,
    (bytes) => {
      const text = toReadable(bytes);
      if (toBytePath(text) === bytes) return text;
      return [...bytes].map((byte) => String.fromCharCode(0xdc00 + byte.charCodeAt(0))).join('');
    },
  );
}
