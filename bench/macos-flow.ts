/**
 * What one step costs around its command (`true`), on OpenZFS and with the tools of a Mac emulated:
 *
 *     npm run bench:macos-flow
 *
 * It runs in a virtual machine that is thrown away, since it makes users and takes over /Users and /opt/homebrew.
 * Three ways are compared, each over a home and a Homebrew of few files, and of ten times as many:
 *
 * - a build of ours, with two caches: everything from the call of `build` to its end;
 * - the commands that OBuilder's ZFS store runs for such a step, in their order, and nothing of OBuilder itself;
 * - those of a store that copies with rsync: from the parent, into place, and back. It has no caches here.
 *
 * The `zfs` processes are counted by a wrapper on the PATH, in runs that are not timed.
 */
import { appendFile, chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import {
  build,
  type MacBuilder,
  openMacBuilder,
} from '../packages/sandbox-macos/test/guest/support/mac-builder.ts';
import { obuilderCached, obuilderSetup, obuilderStep, rsyncSetup, rsyncStep } from './macos-flow-commands.ts';

const ROUNDS = 3;
/** In a home directory, and as many in a Homebrew. */
const SIZES = [500, 5000];
const counterDir = '/run/macos-flow';

await makeCounter();
const all: { readonly files: number; readonly ways: Ways }[] = [];
for (const files of SIZES) {
  const ways = await compare(files);
  all.push({ files, ways });
  console.log(`\n${2 * files} files of 4 KiB; medians of ${ROUNDS}; two caches, but for rsync`);
  console.table(ways);
}
console.log(`\nseconds around the command of a new step\n\n${chart(all)}\n`);

type Ways = Readonly<Record<string, Figures>>;

interface Figures {
  readonly 'new step, ms': number;
  readonly 'new step, zfs processes': number;
  readonly 'cached step, ms': number | string;
  readonly 'cached step, zfs processes': number | string;
}

async function compare(files: number): Promise<Ways> {
  // Each copy of rsync stays there, as a store would keep it.
  await using mac = await openMacBuilder({}, { sizeMiB: 4000 });
  const pool = mac.dataset.split('/')[0] ?? '';
  const trees = await makeTrees(files);
  const ours = await flow(
    (round) => step(mac, oursSpec(trees, `true ${round}`)),
    () => step(mac, oursSpec(trees, 'true 0')),
  );
  await shell(obuilderSetup(pool, trees));
  const obuilder = await flow(
    (round) => shell(obuilderStep(pool, round)),
    () => shell(obuilderCached(pool, 0)),
  );
  await shell(rsyncSetup(pool, trees));
  const rsync = await flow((round) => shell(rsyncStep(pool, round)));
  await shell(`zfs destroy -r ${pool}/rsync; zfs destroy -R ${pool}/obuilder; rm -r ${trees}`);
  return { 'a build of ours': ours, "OBuilder's commands on ZFS": obuilder, 'copies with rsync': rsync };
}

async function flow(
  fresh: (round: number) => Promise<unknown>,
  cached?: () => Promise<unknown>,
): Promise<Figures> {
  // The first one also makes what is made once.
  await fresh(0);
  const counted = await count(() => fresh(1));
  const times = await inTurn(ROUNDS, (round) => timed(() => fresh(round + 2)));
  const cachedCount = cached && (await count(cached));
  const cachedTimes = cached && (await inTurn(ROUNDS, () => timed(cached)));
  return {
    'new step, ms': median(times),
    'new step, zfs processes': counted,
    'cached step, ms': cachedTimes ? median(cachedTimes) : '-',
    'cached step, zfs processes': cachedCount ?? '-',
  };
}

async function step(mac: MacBuilder, spec: string): Promise<void> {
  const { result, log } = await build(mac, spec);
  if (result.isErr()) throw new Error(`${JSON.stringify(result.error)}\n${log}`);
  await result.value[Symbol.asyncDispose]();
}

function oursSpec(trees: string, command: string): string {
  const fill = `(run (network host) (shell "cp -r ${trees}/home/. ~ && cp -r ${trees}/brew/. /opt/homebrew"))`;
  const home = '/Users/mac7001';
  const caches = `(cache (opam-archives (target ${home}/.opam)) (homebrew (target ${home}/.brew-cache)))`;
  return `((from base) ${fill} (run (network host) ${caches} (shell "${command}")))`;
}

/** @returns A directory with the files of a home and of a Homebrew. */
async function makeTrees(files: number): Promise<string> {
  const trees = `/tmp/macos-flow-${files}`;
  for (const name of ['home', 'brew']) {
    for (let dir = 0; dir < files / 100; dir += 1) {
      const path = join(trees, name, `d${dir}`);
      await mkdir(path, { recursive: true });
      for (let file = 0; file < 100; file += 1)
        await writeFile(join(path, `f${file}`), Buffer.alloc(4096, file));
    }
  }
  return trees;
}

async function makeCounter(): Promise<void> {
  const { stdout: real } = await execa('which', ['zfs']);
  await mkdir(counterDir);
  await writeFile(join(counterDir, 'zfs'), `#!/bin/sh\necho "$*" >>${counterDir}/calls\nexec ${real} "$@"\n`);
  await chmod(join(counterDir, 'zfs'), 0o755);
}

async function count(work: () => Promise<unknown>): Promise<number> {
  const path = process.env.PATH;
  const calls = join(counterDir, 'calls');
  await writeFile(calls, '');
  process.env.PATH = `${counterDir}:${path}`;
  await work();
  process.env.PATH = path;
  const text = await readFile(calls, 'utf8');
  if (process.env.MACOS_FLOW_CALLS) await appendFile(process.env.MACOS_FLOW_CALLS, `${text}\n`);
  return text.split('\n').length - 1;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

async function inTurn<T>(times: number, work: (round: number) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for (let round = 0; round < times; round += 1) results.push(await work(round));
  return results;
}

function median(values: readonly number[]): number {
  return Math.round([...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0);
}

async function shell(script: string): Promise<void> {
  await execa('sh', ['-ec', script], { stdio: ['ignore', 'ignore', 'pipe'] });
}

/** A bar for each way and size, as long as its step. */
function chart(measured: typeof all): string {
  const rows = measured.flatMap(({ files, ways }) =>
    Object.entries(ways).map(([way, figures]) => ({
      title: `${way}, ${2 * files} files`,
      seconds: figures['new step, ms'] / 1000,
    })),
  );
  const longest = Math.max(...rows.map(({ seconds }) => seconds));
  const width = Math.max(...rows.map(({ title }) => title.length));
  const bar = (seconds: number) => '█'.repeat(Math.max(1, Math.round((60 * seconds) / longest)));
  return rows
    .map(({ title, seconds }) => `${title.padEnd(width)}  ${bar(seconds)} ${seconds.toFixed(1)}`)
    .join('\n');
}
