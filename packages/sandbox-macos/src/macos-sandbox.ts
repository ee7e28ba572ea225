import { lstat, realpath } from 'node:fs/promises';
import { dirname, posix } from 'node:path';
import {
  type Account,
  cancelled,
  type Exit,
  err,
  failed,
  type LimitName,
  type Owner,
  ok,
  type Result,
  type RunRequest,
  type Sandbox,
  type SandboxError,
  type StoreFeatures,
  type VolumeName,
  type Volumes,
} from '@snapstep/core/backend';
import type { PoolUser, Shared } from './macos-user.ts';
import { BREW, giveHome, HOME, runStep, type Workshop } from './run-step.ts';
import { isBelow } from './step-path.ts';

/** The sandbox over a workshop that stands. Disposing it ends what runs. */
export class MacosSandbox implements Sandbox<'placement'> {
  readonly name: string = 'macos';
  readonly requires: readonly ['placement'] = ['placement'];
  readonly layout: readonly VolumeName[];
  readonly enforces: readonly LimitName[] = ['timeoutMs', 'silenceMs'];
  readonly concurrency: number;
  readonly defaultShell: readonly [string, ...string[]] = ['/usr/bin/env', 'bash', '-c'];
  readonly defaultPath: string;
  readonly #workshop: Workshop;
  readonly #close: () => Promise<void>;
  readonly #closing = new AbortController();
  readonly #running = new Set<Promise<unknown>>();
  #closed: Promise<void> | undefined;

  constructor(workshop: Workshop, close: () => Promise<void>) {
    this.layout = workshop.prefix === undefined ? [HOME] : [HOME, BREW];
    this.concurrency = workshop.users.length;
    this.defaultPath = workshop.defaultPath;
    this.#workshop = workshop;
    this.#close = close;
  }

  locate(path: string): { readonly volume: VolumeName; readonly path: string } | undefined {
    const { users, prefix } = this.#workshop;
    const homes = users.map(({ home }) => ({ volume: HOME, root: home }));
    const roots = prefix === undefined ? homes : [...homes, { volume: BREW, root: prefix.path as string }];
    const at = posix.join('/', path).replace(/(?<=.)\/$/, '');
    const found = roots.find(({ root }) => at === root || isBelow(at, root));
    return found && { volume: found.volume, path: at.slice(found.root.length) || '/' };
  }

  /** A home directory that is nobody's yet is given to the user that is meant, or to the one with the least to do. */
  async account(
    user: Owner | { readonly name: string },
    volumes: Volumes,
  ): Promise<Result<Account | undefined, SandboxError>> {
    const owner = await this.#ownerOfHome(user, volumes);
    if (owner.isErr() || owner.value === undefined) return owner.map(() => undefined);
    if (!isMeant(user, owner.value)) return ok(undefined);
    const { uid, gid, home } = owner.value;
    return ok({ uid, gid, home });
  }

  async run(
    request: RunRequest,
    features: Pick<StoreFeatures, 'placement'>,
  ): Promise<Result<Exit, SandboxError>> {
    const signal = AbortSignal.any([request.signal, this.#closing.signal]);
    if (signal.aborted) return err(cancelled(signal));
    const running = this.#run({ ...request, signal }, features);
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#end();
    return this.#closed;
  }

  async #run(
    request: RunRequest,
    { placement }: Pick<StoreFeatures, 'placement'>,
  ): Promise<Result<Exit, SandboxError>> {
    const { limits, volumes, signal } = request;
    const other = Object.keys(limits).find((limit) => !this.enforces.includes(limit as LimitName));
    if (other !== undefined) return err(failed(`a Mac cannot hold a user to a limit of ${other}`));
    const user = await this.#userOf(request);
    if (user.isErr()) return err(user.error);
    // The prefix first: whoever waits for it does not keep other steps from his user.
    const { prefix } = this.#workshop;
    const shared: Shared[] = volumes.has(BREW) && prefix ? [prefix, user.value] : [user.value];
    using turns = new DisposableStack();
    for (const one of shared) {
      const turn = await one.turn.take(signal);
      if (turn === undefined) return err(cancelled(signal));
      turns.use(turn);
      if (one.stuck !== undefined) return err(refusal(one.stuck));
    }
    return await runStep(this.#workshop, request, { user: user.value, placement });
  }

  async #userOf({ user, volumes }: RunRequest): Promise<Result<PoolUser, SandboxError>> {
    const named = this.#workshop.users.find(({ uid }) => uid === user.uid);
    if (named !== undefined) return ok(named);
    const owner = await this.#ownerOfHome(user, volumes);
    if (owner.isErr()) return err(owner.error);
    if (owner.value && isMeant(user, owner.value)) return ok(owner.value);
    return err(failed(`the sandbox has no user ${user.uid}`));
  }

  /** The user of the pool that the home directory was made for. */
  async #ownerOfHome(
    wanted: Owner | { readonly name: string },
    volumes: Volumes,
  ): Promise<Result<PoolUser | undefined, SandboxError>> {
    const volume = volumes.get(HOME);
    if (volume === undefined) return err(failed(`a step on a Mac needs a volume "${HOME}"`));
    const mounted = await volume.mount();
    if (mounted.isErr()) {
      const { error } = mounted;
      if (error.type === 'stuck' || error.type === 'cancelled' || error.type === 'no-space')
        return err(error);
      return err(failed(`cannot look whose the home directory is: ${error.message}`, error));
    }
    await using place = mounted.value;
    // The store has it there: beside it lie others, which may be the same user's.
    this.#workshop.premises.kept.add(dirname(await realpath(place.path)));
    const { uid } = await lstat(place.path);
    if (uid === 0) return await this.#giveTo(this.#choose(wanted), place.path);
    const owner = this.#workshop.users.find((user) => user.uid === uid);
    if (owner !== undefined) return ok(owner);
    return err(failed(`the home directory was made for the user ${uid}, whom this sandbox does not have`));
  }

  async #giveTo(
    user: PoolUser | undefined,
    path: string,
  ): Promise<Result<PoolUser | undefined, SandboxError>> {
    if (user === undefined) return ok(undefined);
    return (await giveHome(path, user)).map(() => user);
  }

  #choose(wanted: Owner | { readonly name: string }): PoolUser | undefined {
    const able = this.#workshop.users.filter((user) => isMeant(wanted, user));
    const load = ({ stuck, turn, given }: PoolUser) => [stuck === undefined ? 0 : 1, turn.length, given];
    const [first] = able.toSorted((a, b) => compare(load(a), load(b)));
    if (first) first.given += 1;
    return first;
  }

  async #end(): Promise<void> {
    this.#closing.abort(new Error('the sandbox was closed'));
    await Promise.allSettled(this.#running);
    await this.#close();
  }
}

/** The first numbers that differ decide. */
function compare(one: readonly number[], other: readonly number[]): number {
  const differences = one.map((number, index) => number - (other[index] ?? 0));
  return differences.find((difference) => difference !== 0) ?? 0;
}

/** Root is who nobody has asked for: a step never runs as root on a Mac. */
function isMeant(wanted: Owner | { readonly name: string }, user: PoolUser): boolean {
  if ('name' in wanted) return wanted.name === user.name;
  return wanted.uid === 0 || wanted.uid === user.uid;
}

function refusal(stuck: string): SandboxError {
  return { type: 'stuck', message: `nothing is run until the Mac is restarted: ${stuck}`, needsReboot: true };
}
