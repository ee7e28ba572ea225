/** A line again and again, so many bytes of it: what `yes LABEL | head -c BYTES` prints. */
export function filler(label: string, bytes: number): Buffer {
  return Buffer.alloc(bytes, `${label}\n`);
}
