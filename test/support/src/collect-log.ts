import type { LogSink } from '@snapstep/core/backend';

/** A log in memory, for looking at what was written. */
export function collectLog(): LogSink & { text(): string; bytes(): Uint8Array } {
  const chunks: Uint8Array[] = [];
  const bytes = (): Uint8Array => Buffer.concat(chunks);
  return {
    async write(chunk) {
      chunks.push(typeof chunk === 'string' ? new TextEncoder().encode(chunk) : chunk.slice());
    },
    bytes,
    text: () => new TextDecoder().decode(bytes()),
  };
}
