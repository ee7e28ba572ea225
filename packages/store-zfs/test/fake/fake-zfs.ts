import { constants, openSync } from 'node:fs';
import { chmod, writeFile } from 'node:fs/promises';
import { Socket } from 'node:net';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { orThrow, runCommand } from '@snapstep/core/backend';
import { tempDir } from '@snapstep/test-support';
import type { Answer } from './answer.ts';
import { run } from './fake-commands.ts';
import { emptyPool, type PoolState } from './pool.ts';

/** What a command does other than it should. */
export interface Fault {
  /** How the commands begin that it meets, such as `zfs destroy`. */
  readonly on: string;
  /** How many of them; default 1. */
  readonly times?: number;
  /** It fails with this, and changes nothing. */
  readonly stderr?: string;
  /** It does not end before {@link FakeZfs.release}. */
  readonly hangs?: boolean;
}

/**
 * A `zfs` and a `zpool` of our own, first on the PATH. They answer as OpenZFS 2.1 does, as far as our store uses it,
 * and refuse everything else. Nothing is mounted: `zfs mount` is only remembered, so there are no files.
 */
export class FakeZfs implements AsyncDisposable {
  /** The name of its one pool, which no other fake has: a store looks for processes that work on its dataset. */
  readonly name: string;
  readonly pool: PoolState;
  readonly directory: string;
  readonly #undo: () => Promise<void>;
  #calls: string[] = [];
  #faults: Fault[] = [];
  #states: PoolState[] = [];
  #hanging = Promise.withResolvers<void>();

  /** @param requests - Where the programs write their number and their words, a line each. */
  constructor(directory: string, requests: Socket, undo: () => Promise<void>) {
    this.directory = directory;
    this.name = basename(directory).replaceAll(/[^A-Za-z0-9]/g, '');
    this.pool = emptyPool(this.name);
    this.#undo = undo;
    createInterface({ input: requests }).on('line', (line) => void this.#serve(line.split('\t')));
  }

  /** The commands since the last call, also those that do not end. */
  calls(): readonly string[] {
    const calls = this.#calls;
    this.#calls = [];
    return calls;
  }

  /** The pool as it was after each command since the last call: what a kill may leave. */
  states(): readonly PoolState[] {
    const states = this.#states;
    this.#states = [];
    return states;
  }

  /** Makes the pool what it was. */
  restore(state: PoolState): void {
    const { datasets, snapshots, next } = structuredClone(state);
    replace(this.pool.datasets, datasets);
    replace(this.pool.snapshots, snapshots);
    this.pool.next = next;
  }

  fail(...faults: readonly Fault[]): void {
    this.#faults.push(...faults);
  }

  /** Lets commands go on that hang. */
  release(): void {
    this.#hanging.resolve();
    this.#hanging = Promise.withResolvers();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.release();
    await this.#undo();
  }

  async #serve([number = '', ...command]: readonly string[]): Promise<void> {
    this.#calls.push(command.join(' '));
    const fault = this.#takeFault(command.join(' '));
    if (fault?.hangs) await this.#hanging.promise;
    const failure = fault?.stderr === undefined ? undefined : `${fault.stderr}\n`;
    const answer = failure ? { code: 1, stdout: '', stderr: failure } : run(this.pool, command);
    this.#states.push(structuredClone(this.pool));
    await writeFile(join(this.directory, `answer.${number}`), asShell(answer));
  }

  #takeFault(line: string): Fault | undefined {
    const at = this.#faults.findIndex(({ on }) => line.startsWith(on));
    const fault = this.#faults[at];
    if (fault === undefined) return undefined;
    const left = (fault.times ?? 1) - 1;
    this.#faults.splice(at, 1, ...(left > 0 ? [{ ...fault, times: left }] : []));
    return fault;
  }
}

function replace<T>(all: Record<string, T>, by: Readonly<Record<string, T>>): void {
  for (const name of Object.keys(all)) delete all[name];
  Object.assign(all, by);
}

export async function fakeZfs(): Promise<FakeZfs> {
  const dir = await tempDir();
  const path = process.env.PATH ?? '';
  const requests = join(dir.path, 'requests');
  orThrow(await runCommand('mkfifo', [requests]));
  for (const name of ['zfs', 'zpool']) await writeProgram(dir.path, name);
  // Opened for writing as well, so that there is no end of it when a program has written.
  const socket = new Socket({ fd: openSync(requests, constants.O_RDWR | constants.O_NONBLOCK) });
  process.env.PATH = `${dir.path}:${path}`;
  return new FakeZfs(dir.path, socket, async () => {
    process.env.PATH = path;
    socket.destroy();
    await dir[Symbol.asyncDispose]();
  });
}

/** It asks this process, which has the pool, and runs the answer. A program of Node would start much slower. */
async function writeProgram(directory: string, name: string): Promise<void> {
  const script = `#!/bin/sh
answer='${directory}/answer.'$$
mkfifo "$answer"
line="$$\t${name}"
for word; do line="$line\t$word"; done
printf '%s\\n' "$line" >'${directory}/requests'
. "$answer"
`;
  await writeFile(join(directory, name), script);
  await chmod(join(directory, name), 0o755);
}

function asShell({ code, stdout, stderr }: Answer): string {
  const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
  return `printf %s ${quoted(stdout)}\nprintf %s ${quoted(stderr)} >&2\nexit ${code}\n`;
}
