/**
 * Builds a real project three times, on a Btrfs in a file: from nothing; again, unchanged; and with one source file
 * changed. `npm run demo`, as root.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Builder, openBuilder, parseSpec, type Result, type Spec, toHostPath } from '@snapstep/core';
import { openOciFetcher } from '@snapstep/fetcher-oci';
import { openRuncSandbox } from '@snapstep/sandbox-runc';
import { openBtrfsStore } from '@snapstep/store-btrfs';
import { debianBaseImage, debianSources } from './demo/debian.ts';
import { type DemoDisk, openDisk } from './demo/disk.ts';
import { watchBuild } from './demo/progress.ts';
import { type DemoRun, renderTable } from './demo/table.ts';

const SPEC = resolve(import.meta.dirname, '../examples/demo/build.spec');

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (!stop.signal.aborted) console.log(`\n${signal}: stopping, and taking everything away again ...`);
    stop.abort(new Error(`stopped by ${signal}`));
  });
}

try {
  await main();
} catch (error) {
  console.error(
    `\n${stop.signal.aborted ? 'Stopped.' : `The demo failed: ${error instanceof Error ? error.message : error}`}`,
  );
  process.exitCode = stop.signal.aborted ? 130 : 1;
}

async function main(): Promise<void> {
  if (process.getuid?.() !== 0) throw new Error('it mounts a disk and runs containers, and so needs root');
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'snapstep', 'demo');
  const { signal } = stop;
  await using disk = await openDisk(signal);
  const options = { cache, temp: disk.temp, signal };
  console.log(
    `Base image: a minimal Debian, made by mmdebstrap from this machine's mirrors, kept in ${cache}`,
  );
  const image = await debianBaseImage(options);
  console.log('Project: the sources of jq from Debian, checked by apt, unpacked by dpkg-source');
  const context = await debianSources('jq', options);
  const spec = unwrap(parseSpec(await readFile(SPEC, 'utf8')));
  console.log(`Spec: ${SPEC}\nStore: Btrfs on a loop device, mounted at ${disk.btrfs}`);
  const runs = await buildThrice({ spec, context, image, disk });
  console.log(`\n${renderTable(runs)}\n`);
  check(runs);
}

interface Demo {
  readonly spec: Spec;
  readonly context: string;
  readonly image: string;
  readonly disk: DemoDisk;
}

async function buildThrice({ spec, context, image, disk }: Demo): Promise<readonly DemoRun[]> {
  await using store = unwrap(await openBtrfsStore({ path: toHostPath(disk.btrfs) }));
  await using sandbox = unwrap(
    await openRuncSandbox({ stateDir: toHostPath(disk.sandboxState), fastSync: true }),
  );
  const images = new Map([['debian', image]]);
  await using fetcher = unwrap(
    await openOciFetcher({ stateDir: toHostPath(join(disk.temp, 'fetcher')), images }),
  );
  const stateDir = toHostPath(join(disk.temp, 'builder'));
  await using builder = unwrap(await openBuilder({ store, sandbox, fetcher, stateDir }));
  const build = (name: string) => runBuild(name, { builder, spec, context });
  const first = await build('from nothing');
  const second = await build('again');
  await changeOneFile(join(context, 'src/main.c'));
  return [first, second, await build('one file changed')];
}

async function runBuild(
  name: string,
  { builder, spec, context }: { readonly builder: Builder; readonly spec: Spec; readonly context: string },
): Promise<DemoRun> {
  console.log(`\n── ${name} ──`);
  using progress = watchBuild();
  const start = performance.now();
  const { onEvent } = progress;
  const built = await builder.build({ spec, context: toHostPath(context), signal: stop.signal, onEvent });
  const milliseconds = performance.now() - start;
  await using result = unwrap(built);
  console.log(`  = ${result.key}\n${progress.lastOutput().trimEnd().replace(/^/gm, '    | ')}`);
  return { name, milliseconds, steps: progress.results };
}

/** A change that can be seen in the result, and leaves the tests alone. */
async function changeOneFile(file: string): Promise<void> {
  const text = await readFile(file, 'utf8');
  const changed = text.replace('Usage:\\t%s', 'Usage, changed:\\t%s');
  if (changed === text) throw new Error(`${file} is not as expected: nothing to change`);
  await writeFile(file, changed);
  console.log(`\nChanged: ${file}`);
}

/** The demo fails if the cache did not do what this shows. */
function check([first, second, third]: readonly DemoRun[]): void {
  const ran = (run: DemoRun | undefined) => run?.steps.filter((step) => step.source === 'ran') ?? [];
  if (ran(second).length > 0) throw new Error('the unchanged build ran something');
  if (ran(third).some((step) => /apt-get|autoreconf|from debian/.test(step.title))) {
    throw new Error('a change of one source file ran more than what depends on it');
  }
  if (ran(third).length === 0 || ran(first).length === 0)
    throw new Error('a build that had to run something did not');
}

function unwrap<T, E>(result: Result<T, E>): T {
  if (result.isOk()) return result.value;
  const { message } = result.error as { message?: string };
  throw new Error(message ?? JSON.stringify(result.error));
}
