/** Longer lines are cut: what a step prints without a newline must not fill the memory. */
const LONGEST = 16_384;

/** Makes lines of the chunks of a log, wherever a chunk ends: also in the middle of a character. */
export interface LineSplitter {
  /** @returns The lines that are complete now, without their newlines. */
  push(chunk: Uint8Array): string[];
  /** What came since the last complete line. */
  rest(): string;
}

export function lineSplitter(): LineSplitter {
  const decoder = new TextDecoder();
  let pending = '';
  return {
    push(chunk) {
      const lines = (pending + decoder.decode(chunk, { stream: true })).split('\n');
      pending = overwritten(lines.pop() ?? '');
      while (pending.length > LONGEST) {
        lines.push(pending.slice(0, LONGEST));
        pending = pending.slice(LONGEST);
      }
      return lines;
    },
    rest: () => pending,
  };
}

/** A progress bar writes over its own line; only its newest state is worth keeping. */
function overwritten(line: string): string {
  return line.slice(line.lastIndexOf('\r', line.length - 2) + 1);
}
