import { err, ok, type Result } from 'neverthrow';
import { toReadable } from '../backend/byte-path.ts';
import { failed } from '../backend/failures.ts';
import type { ImageConfig } from '../backend/fetcher.ts';
import type { HostPath } from '../backend/names.ts';
import type { Snapshot } from '../backend/store.ts';
import { type FileNames, hostFiles, stepFiles } from '../plan/file-names.ts';
import type { IgnoreFile } from '../plan/ignore-files.ts';
import { type CopySources, manifestOf } from '../plan/manifest.ts';
import { joinPath, type Settings } from '../plan/stages.ts';
import { toTreePath } from '../plan/tree-path.ts';
import type { CopyOp } from '../spec/spec.ts';
import type { BuildError } from './builder.ts';
import { copyTree } from './copy-tree.ts';
import type { Engine } from './engine.ts';
import { fromSandbox, fromSource, fromStore, fromThrown } from './errors.ts';
import type { StepIo } from './produce.ts';
import { accountOf, ROOT, workingDirectory } from './run-step.ts';
import { inTime, type Timed } from './time-limit.ts';

/** A place that a `copy` reads from, for as long as it is not disposed. */
export interface SourcePlace extends AsyncDisposable {
  readonly root: HostPath;
  readonly names: FileNames;
  /** Files in there that say what is left out. */
  readonly ignore: readonly IgnoreFile[];
}

export interface CopyStep {
  readonly op: CopyOp;
  readonly settings: Settings;
  readonly image: ImageConfig;
  readonly manifest: string;
  /** Opened anew each time, since a step may outlive the build that planned it. */
  readonly openSource: () => Promise<Result<SourcePlace, BuildError>>;
}

/** The context needs no lease: it belongs to the one who asked for the build. */
export function openContext(context: HostPath, ignore: readonly IgnoreFile[]): SourcePlace {
  return { root: context, names: hostFiles(), ignore, [Symbol.asyncDispose]: async () => {} };
}

/** A snapshot as a source: its first volume is the root of the paths. The caller leases the snapshot. */
export async function openSnapshot(
  engine: Engine,
  snapshot: Snapshot,
): Promise<Result<SourcePlace, BuildError>> {
  const name = engine.sandbox.locate('/')?.volume ?? engine.sandbox.layout[0];
  const volume = name === undefined ? undefined : snapshot.volumes.get(name);
  if (volume === undefined) {
    return err(fromStore(failed(`the snapshot ${snapshot.key} lacks the volume "${name}"`)));
  }
  const mounted = await volume.mount();
  if (mounted.isErr()) return err(fromStore(mounted.error));
  const { value } = mounted;
  return ok({
    root: value.path,
    names: stepFiles(snapshot.key),
    ignore: [],
    [Symbol.asyncDispose]: async () => value[Symbol.asyncDispose](),
  });
}

/** The digest of what a `copy` would write. Looking at the files may take as long as copying them. */
export async function manifestOfCopy(
  { hashes, clock }: Pick<Engine, 'hashes' | 'clock'>,
  op: CopyOp,
  { source, ...limit }: { readonly source: SourcePlace } & Omit<Timed, 'clock'>,
): Promise<Result<string, BuildError>> {
  const look = (signal: AbortSignal) => manifestOf(sourcesOf(op, source), { cache: hashes, signal });
  const manifest = await inTime({ ...limit, clock }, look);
  const place = placeOf(op, source.root);
  if (manifest !== 'late') return manifest.mapErr((error) => fromSource(error, place));
  const path = op.src.join(' ');
  const message = `looking at "${path}" took longer than its limit of ${limit.timeoutMs} ms (timeoutMs)`;
  return err(fromSource({ type: 'invalid-source', path, message }, place));
}

/** Writes the files of a `copy` into the active snapshot. */
export async function copyBody(
  engine: Pick<Engine, 'hashes' | 'sandbox'>,
  step: CopyStep,
  io: Pick<StepIo, 'active' | 'signal'>,
): Promise<Result<ImageConfig, BuildError>> {
  const { op, settings, image } = step;
  const account = await accountOf(engine, settings.user ?? image.user ?? ROOT, io.active.volumes);
  if (account.isErr()) return err(account.error);
  const target = toTreePath(joinPath(workingDirectory(settings, image), op.dst));
  const shown = `/${toReadable(target)}`;
  const place = engine.sandbox.locate(shown);
  const volume = place && io.active.volumes.get(place.volume);
  if (place === undefined || volume === undefined) {
    return err(fromSandbox(failed(`"${shown}" is in no volume that is kept: nothing can be copied there`)));
  }
  const opened = await step.openSource();
  if (opened.isErr()) return err(opened.error);
  await using source = opened.value;
  const mounted = await volume.mount();
  if (mounted.isErr()) return err(fromStore(mounted.error));
  await using into = mounted.value;

  const copy = copyTree({
    sources: sourcesOf(op, source),
    manifest: step.manifest,
    root: into.path,
    target: toTreePath(place.path),
    owner: { uid: account.value.uid, gid: account.value.gid },
    hashes: engine.hashes,
    signal: io.signal,
  });
  // It writes into the store, not into the builder's own directory.
  const copied = await copy.catch((error: unknown) => {
    const thrown = io.signal.aborted ? undefined : fromThrown(error, `the disk of ${into.path}`);
    if (thrown === undefined) throw error;
    return err(thrown);
  });
  if (copied.isOk()) return ok(image);
  const { error } = copied;
  if (error.type === 'failed') return err(fromSandbox(error));
  return err(error.type === 'invalid-source' ? fromSource(error, placeOf(op, source.root)) : error);
}

/** For people: where a `copy` reads. */
function placeOf({ from }: CopyOp, root: HostPath): string {
  return from === 'context' ? `the context ${root}` : `the stage "${from.stage}"`;
}

function sourcesOf({ src, exclude, dst }: CopyOp, { root, names, ignore }: SourcePlace): CopySources {
  return { root, src, exclude, ignore, names, named: dst.endsWith('/') };
}
