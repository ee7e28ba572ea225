import { closeSync, openSync, readdirSync, readlinkSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { OutputPipes } from '../src/output-pipe.ts';

/** Opens pipes while only so many more files can be open. Prints how each try ended, and which pipes it left open. */
const [directory = ''] = process.argv.slice(2);
const stray: string[] = [];
process.on('unhandledRejection', (reason) => stray.push(String(reason)));
process.on('uncaughtException', (error) => stray.push(String(error)));

const pipes = new OutputPipes(directory);
const how = { shareable: false, exposed: true };
// The first makes the pipes, by a program.
const first = await pipes.open(how);
if (first.isOk()) await first.value[Symbol.asyncDispose]();

const tries: string[] = [];
for (let free = 0; free < 12; free += 1) {
  const held = fillUp();
  for (const fd of held.splice(0, free)) closeSync(fd);
  tries.push(await open());
  for (const fd of held) closeSync(fd);
  for (let turn = 0; turn < 5; turn += 1) await setImmediate();
}
const left = openFiles();
process.stdout.write(`${JSON.stringify({ tries, stray, left })}\n`);

async function open(): Promise<string> {
  try {
    const pipe = await pipes.open(how);
    if (pipe.isErr()) return pipe.error.message;
    await pipe.value[Symbol.asyncDispose]();
    return 'opened';
  } catch (error) {
    return (error as Error).message;
  }
}

/** Node itself loses a socket with each process that it cannot start. */
function openFiles(): string[] {
  const links = readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return [];
    }
  });
  return links.filter((link) => link.startsWith(directory));
}

function fillUp(): number[] {
  const held: number[] = [];
  try {
    for (;;) held.push(openSync('/dev/null', 'r'));
  } catch {
    return held;
  }
}
