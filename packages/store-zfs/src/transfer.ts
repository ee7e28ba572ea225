import {
  cancelled,
  err,
  failed,
  ok,
  type Result,
  type Snapshot,
  type StepKey,
  type StoreError,
  type StoreFeatures,
  type TransferOptions,
} from '@snapstep/core/backend';
import { DatasetVolume, type DatasetVolumes } from './dataset-volume.ts';
import { FORMAT } from './frames.ts';
import { snapshotOf, volumeOf } from './layout.ts';
import type { Place } from './place.ts';
import type { SavedSnapshots } from './saved-snapshots.ts';
import { type Received, receiveVolumes, type Sent, sendVolumes } from './streams.ts';

interface TransferParts {
  readonly saved: SavedSnapshots;
  /** For one snapshot more. */
  hasRoom(): Result<void, StoreError>;
}

/**
 * Moves saved snapshots. With `since`, what changed is sent if the one was made from the other, however many steps ago;
 * otherwise the whole.
 */
export class Transfer {
  readonly format: string = FORMAT;
  readonly #place: Place;
  readonly #saved: SavedSnapshots;
  readonly #hasRoom: TransferParts['hasRoom'];

  constructor(place: Place, { saved, hasRoom }: TransferParts) {
    this.#place = place;
    this.#saved = saved;
    this.#hasRoom = hasRoom;
  }

  readonly send: StoreFeatures['transfer']['send'] = async (key, { since, signal }) => {
    if (signal.aborted) return err(cancelled(signal));
    const volumes = this.#saved.volumes(key);
    if (volumes === undefined) return err(missing(key));
    const older = since === undefined ? undefined : this.#saved.volumes(since);
    const sent: Sent[] = [];
    for (const { name, dataset } of volumes.values()) {
      const snapshot = snapshotOf(dataset);
      const from = await this.#earlier(snapshot, older?.get(name));
      if (from.isErr()) return err(from.error);
      sent.push({ name, snapshot, since: from.value });
    }
    return ok(sendVolumes(this.#place, { volumes: sent, signal }));
  };

  readonly receive: StoreFeatures['transfer']['receive'] = async (key, body, options) => {
    const older = options.since === undefined ? undefined : this.#saved.volumes(options.since);
    const refused = this.#refusal(key, { options, older });
    if (refused !== undefined) {
      await body.cancel().catch(() => {});
      return err(refused);
    }
    const origin = (name: Sent['name']) => {
      const volume = older?.get(name);
      return volume && snapshotOf(volume.dataset);
    };
    const received = await receiveVolumes(this.#place, { body, signal: options.signal, origin });
    return received.isErr() ? err(received.error) : this.#publish(key, received.value);
  };

  #refusal(
    key: StepKey,
    { options, older }: { readonly options: TransferOptions; readonly older: DatasetVolumes | undefined },
  ): StoreError | undefined {
    const { since, signal } = options;
    if (signal.aborted) return cancelled(signal);
    if (since !== undefined && older === undefined) return missing(since);
    if (this.#saved.volumes(key) !== undefined) return failed(`the snapshot ${key} is already there`);
    const room = this.#hasRoom();
    return room.isErr() ? room.error : undefined;
  }

  /** The snapshot itself comes last, and the rename makes it visible. */
  async #publish(key: StepKey, { dataset, volumes }: Received): Promise<Result<Snapshot, StoreError>> {
    const { layout, mounts, trash, zfs } = this.#place;
    const properties = { 'snapstep:volumes': [...volumes.keys()].join(',') };
    const snapped = await zfs.snapshot(snapshotOf(dataset), { properties });
    const result = layout.result(key);
    const freed = snapped.isOk() ? await trash.free(result) : snapped;
    const published = freed.isOk() ? await zfs.rename(dataset, result) : freed;
    if (published.isErr()) {
      await trash.discard(dataset);
      return err(published.error);
    }
    const saved = [...volumes].map(([name, { mountpoint }]) => {
      const parts = { name, mountpoint, isWritable: false, dataset: volumeOf(result, name) };
      return [name, new DatasetVolume(mounts, parts)] as const;
    });
    return ok(this.#saved.add(key, new Map(saved)));
  }

  async #earlier(
    snapshot: string,
    older: DatasetVolume | undefined,
  ): Promise<Result<string | undefined, StoreError>> {
    if (older === undefined) return ok(undefined);
    const since = snapshotOf(older.dataset);
    return (await this.#place.zfs.canSend(snapshot, since)).map((can) => (can ? since : undefined));
  }
}

function missing(key: StepKey): StoreError {
  return { type: 'not-found', key, message: `there is no snapshot ${key}` };
}
