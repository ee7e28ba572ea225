import { describeTree } from './describe-tree.ts';
import { mounted, type Scene } from './scene.ts';

const LINES = 200;
/** A store that has just broken a promise may break others. */
const MILLISECONDS = 10_000;

/** Adds what the store holds to the message of a failed test. */
export async function withDump(error: unknown, scene: Scene): Promise<unknown> {
  if (!(error instanceof Error)) return error;
  const text = await bounded(scene.place.dump?.() ?? dumpSnapshots(scene));
  const lines = text.split('\n');
  const more = lines.length > LINES ? `\n... and ${lines.length - LINES} lines more` : '';
  const message = `${error.message}\n\nin the store:\n${lines.slice(0, LINES).join('\n')}${more}`;
  // The stack, which test runners print, starts with the message as it was when the error was made.
  if (error.stack) error.stack = error.stack.replace(error.message, () => message);
  error.message = message;
  return error;
}

async function bounded(dump: Promise<string>): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve('(it does not answer)'), MILLISECONDS);
  });
  try {
    return await Promise.race([dump, late]);
  } catch (error) {
    return `(it cannot be listed: ${String(error).slice(0, 200)})`;
  } finally {
    clearTimeout(timer);
  }
}

async function dumpSnapshots(scene: Scene): Promise<string> {
  const listed = await scene.store.list();
  if (listed.isErr()) return `(it cannot be listed: ${listed.error.type})`;
  const parts = [`${listed.value.length} snapshots`];
  for (const key of [...listed.value].sort().slice(0, 5)) {
    const snapshot = await scene.store.lookup(key);
    if (snapshot.isErr()) continue;
    for (const [name, volume] of snapshot.value?.volumes ?? []) {
      parts.push(`${key} ${name}`, ...(await mounted(volume, describeTree)));
    }
  }
  return parts.join('\n');
}
