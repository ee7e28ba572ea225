import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type StepKey, toCacheId } from '../../backend/names.ts';
import type { ActiveSnapshot, CacheCopy } from '../../backend/store.ts';
import type { Mounted, Volume } from '../../backend/volume.ts';
import { keepsEqual } from '../promise.ts';
import { namesIn } from './lifecycle.ts';
import { storePromises as promises } from './promises.ts';
import { dispose, expectOk, key, mounted, rootfs, type Scene } from './scene.ts';

type Files = ReadonlyMap<string, string>;

export interface Step {
  readonly call: Call;
  /** Choose among what there is. */
  readonly a: number;
  readonly b: number;
}

interface Active {
  readonly handle: ActiveSnapshot;
  readonly parent: StepKey | undefined;
  files: Files;
}

interface Copy {
  readonly handle: CacheCopy;
  readonly name: string;
  files: Files;
}

interface Lease {
  readonly mount: Mounted;
  /** The active snapshot that it is of, which is not ended before. */
  readonly of: StepKey;
}

/** Few, so that one is used again after it was removed. */
const KEYS = [0, 1, 2, 3, 4].map(key);

/** How often each call is drawn, beside the others. What matters most is drawn most often. */
const WEIGHTS = {
  prepare: 6,
  write: 3,
  delete: 1,
  commit: 6,
  drop: 1,
  look: 1,
  list: 1,
  remove: 4,
  mount: 1,
  release: 2,
  checkOut: 2,
  writeCopy: 1,
  publish: 1,
  dropCopy: 1,
  removeCache: 1,
  lookCache: 1,
  listCaches: 1,
  reopen: 1,
} as const;

type Call = keyof typeof WEIGHTS;

/** Knows what the store must hold, calls what the builder may call, and compares. */
export class SequenceModel {
  static readonly calls: readonly Call[] = Object.entries(WEIGHTS).flatMap(([call, weight]) =>
    Array<Call>(weight).fill(call as Call),
  );

  readonly #scene: Scene;
  readonly #mountsAtFirst: number;
  readonly #saved = new Map<StepKey, { readonly files: Files; readonly parent: StepKey | undefined }>();
  readonly #actives = new Map<StepKey, Active>();
  readonly #caches = new Map<string, Files>();
  #copies: readonly Copy[] = [];
  #leases: readonly Lease[] = [];
  #texts = 0;

  constructor(scene: Scene, mountsAtFirst: number) {
    this.#scene = scene;
    this.#mountsAtFirst = mountsAtFirst;
  }

  /** A step that makes no sense now does nothing. */
  async run(step: Step): Promise<void> {
    await this.#calls[step.call](step);
  }

  async checkMounts(): Promise<void> {
    const mounts = (await this.#scene.mounts()) ?? 0;
    const tooMany = Math.max(0, mounts - this.#mountsAtFirst - this.#leases.length);
    keepsEqual(promises.leasedMounts, tooMany, 0);
  }

  /** Ends what is active, and looks at all that is saved. */
  async end(): Promise<void> {
    await this.#endAll();
    await this.checkMounts();
    for (const at of this.#saved.keys()) await this.#checkSaved(at);
    for (const name of this.#caches.keys()) await this.#checkCache(name);
    await this.#checkLists();
  }

  readonly #calls: Readonly<Record<Call, (step: Step) => Promise<void>>> = {
    prepare: async ({ a, b }) => {
      const at = choose(
        KEYS.filter((free) => !this.#saved.has(free) && !this.#actives.has(free)),
        a,
      );
      if (at === undefined) return;
      const parent = choose([undefined, ...this.#saved.keys()], b);
      const handle = await this.#scene.prepare(at, parent && { snapshot: parent });
      this.#actives.set(at, {
        handle,
        parent,
        files: (parent && this.#saved.get(parent)?.files) ?? new Map(),
      });
    },
    write: async ({ a, b }) => {
      const active = choose([...this.#actives.values()], a);
      if (active)
        active.files = await write(rootOf(active.handle), active.files, {
          name: `${b % 3}`,
          text: this.#newText(),
        });
    },
    delete: async ({ a, b }) => {
      const active = choose([...this.#actives.values()], a);
      if (active) active.files = await erase(rootOf(active.handle), active.files, `${b % 3}`);
    },
    commit: async ({ a }) => {
      const [at, active] = this.#chooseEnding(a) ?? [];
      if (at === undefined || active === undefined) return;
      await expectOk(active.handle.commit());
      await dispose(active.handle);
      this.#actives.delete(at);
      this.#saved.set(at, active);
    },
    drop: async ({ a }) => {
      const [at, active] = this.#chooseEnding(a) ?? [];
      if (at === undefined || active === undefined) return;
      await dispose(active.handle);
      this.#actives.delete(at);
    },
    remove: async ({ a }) => {
      const parents = [...this.#saved.values(), ...this.#actives.values()].map(({ parent }) => parent);
      const unused = [...this.#saved.keys()].filter((at) => !this.#isLeased(at) && !parents.includes(at));
      const at = choose(unused, a);
      if (at === undefined) return;
      await expectOk(this.#scene.store.remove(at));
      this.#saved.delete(at);
    },
    look: async ({ a }) => {
      const at = choose([...this.#saved.keys()], a);
      if (at !== undefined) await this.#checkSaved(at);
    },
    list: () => this.#checkLists(),
    mount: async ({ a, b }) => {
      const actives = [...this.#actives].map(([at, { handle }]) => ({ at, volume: rootOf(handle) }));
      const saved = choose([...this.#saved.keys()], b);
      const volume = saved && (await this.#scene.lookup(saved))?.volumes.get(rootfs);
      const chosen = choose([...actives, ...(saved && volume ? [{ at: saved, volume }] : [])], a);
      if (!chosen) return;
      this.#leases = [...this.#leases, { mount: await expectOk(chosen.volume.mount()), of: chosen.at }];
    },
    release: async ({ a }) => {
      const lease = choose(this.#leases, a);
      if (!lease) return;
      await dispose(lease.mount);
      this.#leases = this.#leases.filter((other) => other !== lease);
    },
    checkOut: async ({ a }) => {
      const name = `cache ${a % 2}`;
      const handle = await this.#scene.checkOut(toCacheId(name));
      this.#copies = [...this.#copies, { handle, name, files: this.#caches.get(name) ?? new Map() }];
    },
    writeCopy: async ({ a, b }) => {
      const copy = choose(this.#copies, a);
      if (copy)
        copy.files = await write(copy.handle.volume, copy.files, { name: `${b % 3}`, text: this.#newText() });
    },
    publish: async ({ a }) => {
      const copy = choose(this.#copies, a);
      if (!copy) return;
      await expectOk(copy.handle.publish());
      await this.#forget(copy);
      this.#caches.set(copy.name, copy.files);
    },
    dropCopy: async ({ a }) => {
      const copy = choose(this.#copies, a);
      if (copy) await this.#forget(copy);
    },
    removeCache: async ({ a }) => {
      const name = `cache ${a % 2}`;
      await expectOk(this.#scene.store.caches.remove(toCacheId(name)));
      this.#caches.delete(name);
    },
    lookCache: ({ a }) => this.#checkCache(`cache ${a % 2}`),
    listCaches: () => this.#checkLists(),
    reopen: async () => {
      await this.#endAll();
      await this.#scene.reopen();
    },
  };

  /** No two files have the same content by chance. */
  #newText(): string {
    this.#texts += 1;
    return `text ${this.#texts}`;
  }

  /** An active snapshot that nobody has mounted. */
  #chooseEnding(number: number): readonly [StepKey, Active] | undefined {
    return choose(
      [...this.#actives].filter(([at]) => !this.#isLeased(at)),
      number,
    );
  }

  #isLeased(at: StepKey): boolean {
    return this.#leases.some(({ of }) => of === at);
  }

  async #forget(copy: Copy): Promise<void> {
    await dispose(copy.handle);
    this.#copies = this.#copies.filter((other) => other !== copy);
  }

  async #endAll(): Promise<void> {
    for (const { mount } of this.#leases) await dispose(mount);
    for (const { handle } of [...this.#actives.values(), ...this.#copies]) await dispose(handle);
    this.#leases = [];
    this.#copies = [];
    this.#actives.clear();
  }

  async #checkSaved(at: StepKey): Promise<void> {
    const files = await this.#scene.look(at, readAll);
    keepsEqual(promises.sequences, files, this.#saved.get(at)?.files);
  }

  async #checkCache(name: string): Promise<void> {
    await using copy = await this.#scene.checkOut(toCacheId(name));
    const files = await mounted(copy.volume, readAll);
    keepsEqual(promises.sequences, files, this.#caches.get(name) ?? new Map());
  }

  async #checkLists(): Promise<void> {
    keepsEqual(promises.listed, await this.#scene.list(), [...this.#saved.keys()].sort());
    keepsEqual(promises.listedCaches, await this.#scene.listCaches(), [...this.#caches.keys()].sort());
  }
}

function choose<T>(from: readonly T[], number: number): T | undefined {
  return from[number % Math.max(1, from.length)];
}

function rootOf({ volumes }: ActiveSnapshot): Volume {
  return volumes.get(rootfs) as Volume;
}

async function write(
  volume: Volume,
  files: Files,
  { name, text }: { readonly name: string; readonly text: string },
): Promise<Files> {
  await mounted(volume, (path) => writeFile(join(path, name), text));
  return new Map([...files, [name, text]]);
}

async function erase(volume: Volume, files: Files, name: string): Promise<Files> {
  await mounted(volume, (path) => rm(join(path, name), { force: true }));
  return new Map([...files].filter(([other]) => other !== name));
}

/** In the order of names, and with what was written. */
async function readAll(path: string): Promise<Files> {
  const found = new Map<string, string>();
  for (const name of await namesIn(path))
    found.set(name, await readFile(join(path, name), 'utf8').catch(String));
  return found;
}
