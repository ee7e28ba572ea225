import {
  cancelled,
  err,
  failed,
  ok,
  type Result,
  type StoreError,
  toVolumeName,
  type VolumeName,
} from '@snapstep/core/backend';
import { BrokenStream, type Frame, readFrames, writeFrames } from './frames.ts';
import { snapshotOf, volumeOf, volumeProperties } from './layout.ts';
import type { Place } from './place.ts';
import { Receiving, sendSnapshot } from './zfs-streams.ts';

/** A saved volume to be sent. */
export interface Sent {
  readonly name: VolumeName;
  readonly snapshot: string;
  /** Only what changed after this one. */
  readonly since?: string | undefined;
}

/** The volumes one after the other, in one stream. */
export function sendVolumes(
  { commands }: Place,
  { volumes, signal }: { readonly volumes: readonly Sent[]; readonly signal: AbortSignal },
): ReadableStream<Uint8Array> {
  async function* frames(): AsyncGenerator<Frame> {
    for (const { name, snapshot, since } of volumes) {
      yield { kind: 'V', volume: name, isIncremental: since !== undefined };
      for await (const data of sendSnapshot(commands, { snapshot, since, signal })) yield { kind: 'D', data };
    }
    yield { kind: 'E' };
  }
  return ReadableStream.from(writeFrames(frames()));
}

export interface ReceiveRequest {
  readonly body: ReadableStream<Uint8Array>;
  readonly signal: AbortSignal;
  /** What an incremental stream of a volume starts from. */
  readonly origin?: (volume: VolumeName) => string | undefined;
}

/** A dataset in the trash, with volumes below it, each with its snapshot. */
export interface Received {
  readonly dataset: string;
  readonly volumes: ReadonlyMap<VolumeName, { readonly dataset: string; readonly mountpoint: string }>;
}

/**
 * Receives what {@link sendVolumes} sent into a new dataset, which the caller publishes. Of a stream that is cut, or
 * of an abort, nothing is left.
 */
export async function receiveVolumes(
  place: Place,
  request: ReceiveRequest,
): Promise<Result<Received, StoreError>> {
  const { layout, zfs, trash } = place;
  const { signal, body } = request;
  const dataset = layout.attempt(layout.trash);
  const made = await zfs.create(dataset, { properties: { canmount: 'off' } });
  if (made.isErr()) {
    await body.cancel().catch(() => {});
    return err(made.error);
  }
  const received = await receiveInto(place, { ...request, dataset });
  if (received.isOk() && !signal.aborted) return received;
  await trash.discard(dataset);
  if (signal.aborted) return err(cancelled(signal));
  return received;
}

async function receiveInto(
  place: Place,
  { dataset, ...request }: ReceiveRequest & { readonly dataset: string },
): Promise<Result<Received, StoreError>> {
  const volumes = new Map<VolumeName, { dataset: string; mountpoint: string }>();
  const receiver = new Receiver(place, { ...request, dataset, volumes });
  const end = (): void => {
    receiver[Symbol.asyncDispose]().catch(() => {}); // It is waited for below.
  };
  request.signal.addEventListener('abort', end);
  // A stream that ends is one that cannot be read any more.
  const body = request.body.pipeThrough(new TransformStream(), { signal: request.signal });
  try {
    for await (const frame of readFrames(body)) {
      const taken = await receiver.take(frame);
      if (taken.isErr()) return err(taken.error);
    }
  } catch (error) {
    if (!(error instanceof BrokenStream)) throw error;
    return err(error.failure);
  } finally {
    request.signal.removeEventListener('abort', end);
    await receiver[Symbol.asyncDispose]();
  }
  if (volumes.size > 0) return ok({ dataset, volumes });
  return err(failed('the stream has no volumes'));
}

interface ReceiverParts extends Pick<ReceiveRequest, 'origin'> {
  readonly dataset: string;
  readonly volumes: Map<VolumeName, { dataset: string; mountpoint: string }>;
}

/** One `zfs receive` after the other. */
class Receiver implements AsyncDisposable {
  readonly #place: Place;
  readonly #parts: ReceiverParts;
  #current: Receiving | undefined;

  constructor(place: Place, parts: ReceiverParts) {
    this.#place = place;
    this.#parts = parts;
  }

  async take(frame: Frame): Promise<Result<void, StoreError>> {
    if (frame.kind === 'D') {
      await this.#current?.write(frame.data);
      return ok();
    }
    const finished = (await this.#current?.finish()) ?? ok();
    this.#current = undefined;
    return finished.isOk() && frame.kind === 'V' ? this.#begin(frame) : finished;
  }

  /** Also of one that takes nothing more. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#current?.[Symbol.asyncDispose]();
  }

  #begin(frame: { readonly volume: string; readonly isIncremental: boolean }): Result<void, StoreError> {
    if (!/^[a-z0-9][a-z0-9-]{0,31}$/.test(frame.volume)) {
      return err(failed(`the stream has a volume "${frame.volume}"`));
    }
    const name = toVolumeName(frame.volume);
    const origin = frame.isIncremental ? this.#parts.origin?.(name) : undefined;
    if (frame.isIncremental && origin === undefined) {
      return err(failed(`the stream has only what changed in "${name}", and it is not known since when`));
    }
    const refusal = this.#place.commands.refusal();
    if (refusal !== undefined) return err(refusal);
    const dataset = volumeOf(this.#parts.dataset, name);
    const mountpoint = this.#place.layout.mountPoint();
    this.#parts.volumes.set(name, { dataset, mountpoint });
    const properties = { ...volumeProperties(mountpoint), ...(origin === undefined ? {} : { origin }) };
    this.#current = new Receiving(this.#place.commands, { snapshot: snapshotOf(dataset), properties });
    return ok();
  }
}
