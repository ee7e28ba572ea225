import { join } from 'node:path';
import {
  type Builder,
  type BuilderOptions,
  type Outcome as CallOutcome,
  type HostPath,
  openBuilder,
  toHostPath,
} from '@snapstep/core';
import { openOciFetcher } from '@snapstep/fetcher-oci';
import { openRuncSandbox } from '@snapstep/sandbox-runc';
import { openBtrfsStore } from '@snapstep/store-btrfs';
import { openOverlayfsStore } from '@snapstep/store-overlayfs';
import { openRsyncStore } from '@snapstep/store-rsync';
import type { Answer, WorldPlace } from '../answer.ts';
import { ask, close } from './ask.ts';

const openStore = { rsync: openRsyncStore, btrfs: openBtrfsStore, overlayfs: openOverlayfsStore };

/** What a builder is made of. */
export type Parts = Pick<BuilderOptions<never>, 'sandbox' | 'store' | 'fetcher' | 'stateDir'>;

/** All parts of a builder, as a worker has them. */
export class World {
  builder: Builder | undefined;
  parts: Parts | undefined;
  readonly #open: (readonly [name: string, part: AsyncDisposable])[] = [];

  /** Opens part after part, up to the first that cannot be opened. */
  async open(place: WorldPlace): Promise<readonly Answer[]> {
    const state = (name: string): HostPath => toHostPath(join(place.stateDisk ?? place.storeDisk, name));
    const answers: Answer[] = [];
    const part = async <T extends AsyncDisposable>(
      name: string,
      open: () => CallOutcome<T, object>,
    ): Promise<T | undefined> => {
      if (answers.some(({ outcome }) => outcome !== 'ok')) return undefined;
      const { answer, value } = await ask(`open ${name}`, open);
      answers.push(answer);
      if (value) this.#open.unshift([name, value]);
      return value;
    };
    const sandbox = await part('sandbox', () =>
      openRuncSandbox({ stateDir: state('sandbox'), runtime: place.runtime }),
    );
    const path = toHostPath(join(place.storeDisk, 'store'));
    const store = await part('store', () => openStore[place.store]({ path }));
    const images = new Map(Object.entries(place.images));
    const fetcher = await part('fetcher', () => openOciFetcher({ stateDir: state('fetcher'), images }));
    if (sandbox === undefined || store === undefined || fetcher === undefined) return answers;
    this.parts = { sandbox, store, fetcher, stateDir: state('builder') };
    const { parts } = this;
    this.builder = await part('builder', () => openBuilder(parts));
    return answers;
  }

  async close(): Promise<readonly Answer[]> {
    const answers: Answer[] = [];
    for (const [name, part] of this.#open) answers.push(await close(`close ${name}`, part));
    return answers;
  }
}
