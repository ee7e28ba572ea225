import type { Workplace } from '../support.ts';

interface Found {
  readonly state: string;
  readonly found: string;
  readonly mend?: string;
}

/** Runs `snapstep doctor --json` as a process of its own. */
export async function doctor(
  place: Workplace,
  ...args: readonly string[]
): Promise<{ readonly exitCode: number | undefined; readonly findings: ReadonlyMap<string, Found> }> {
  const { exitCode, stdout } = await place.snapstep(['doctor', '--json', ...args]);
  const lines = stdout.trimEnd().split('\n');
  const findings = lines.map((line) => JSON.parse(line) as Found & { readonly name: string });
  return { exitCode, findings: new Map(findings.map(({ name, ...finding }) => [name, finding])) };
}
