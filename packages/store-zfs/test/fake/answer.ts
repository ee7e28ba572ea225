/** What a command prints, and the code that it exits with. */
export interface Answer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export const done: Answer = { code: 0, stdout: '', stderr: '' };

export function printed(lines: readonly string[]): Answer {
  return { ...done, stdout: lines.map((line) => `${line}\n`).join('') };
}

export function refused(...lines: readonly string[]): Answer {
  return { ...done, code: 1, stderr: lines.map((line) => `${line}\n`).join('') };
}

/** Of a wrong command line. The real program prints its usage after the first line. */
export function misused(line: string): Answer {
  return { ...done, code: 2, stderr: `${line}\nusage:\n` };
}

export function missing(name: string): Answer {
  return refused(`cannot open '${name}': dataset does not exist`);
}
