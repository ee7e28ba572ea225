import type { Check, Finding } from './check.ts';
import type { Scene } from './scene.ts';

/** What one check found. */
export interface Examined extends Finding {
  readonly name: string;
}

/** Looks at everything, one thing after the other, and goes on when a look fails. */
export async function* examine(checks: readonly Check[], scene: Scene): AsyncGenerator<Examined> {
  for (const check of checks) {
    const finding = await look(check, scene);
    yield { name: check.name, ...finding, found: oneLine(finding.found) };
  }
}

/** What a program says may have several. */
function oneLine(text: string): string {
  return text.trim().replaceAll(/\s*\n\s*/g, '; ');
}

async function look(check: Check, scene: Scene): Promise<Finding> {
  try {
    return await check.look(scene);
  } catch (error) {
    const found = `it cannot be found out: ${error instanceof Error ? error.message : error}`;
    return { state: 'problem', found, mend: 'see what the message says' };
  }
}
