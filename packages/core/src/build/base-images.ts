import { chown } from 'node:fs/promises';
import { err, ok, type Result } from 'neverthrow';
import { cancelled, type StoreError } from '../backend/failures.ts';
import type { ImageConfig, PinnedImage } from '../backend/fetcher.ts';
import type { Account } from '../backend/sandbox.ts';
import type { ActiveImage, StoreFeatures } from '../backend/store.ts';
import { attempt } from '../backend/store-failure.ts';
import type { Volumes } from '../backend/volume.ts';
import type { BaseImageError, BaseImageRequest } from './builder.ts';
import type { StepWatch } from './disk-watch.ts';
import type { Engine } from './engine.ts';
import { catchThrown, describeExit, fromFetcher, fromSandbox, fromStore } from './errors.ts';
import { type Attempted, toldByStore, toldByWatch, withRoom } from './make-room.ts';
import { runWatched } from './run-step.ts';

type Making = BaseImageRequest & { readonly signal: AbortSignal };
type Images = StoreFeatures['baseImages'];

/** Makes a base image: fresh volumes, what they start from, the command in them, and the name on what came out. */
export async function makeBaseImage(
  engine: Engine,
  images: Images,
  request: Making,
): Promise<Result<PinnedImage, BaseImageError>> {
  return catchThrown(engine, request.signal, async () => {
    using _slot = await engine.slots.take(request.signal);
    return await withRoom(engine, {
      signal: request.signal,
      attempt: () => attemptOnce(engine, images, request),
      tell: (text) => request.output.write(`${text}\n`),
    });
  });
}

async function attemptOnce(
  engine: Engine,
  images: Images,
  request: Making,
): Promise<Attempted<PinnedImage, BaseImageError>> {
  const { name, signal } = request;
  const created = await images.create({ name, volumes: engine.sandbox.layout, signal });
  if (created.isErr()) return err(toldByStore(fromStore(created.error)));
  await using image = created.value;
  using watch = engine.disks.begin(image.volumes);
  const made = await fill(engine, request, { image, watch });
  if (made.isOk()) return ok(made.value);
  return err(toldByWatch(made.error, watch));
}

async function fill(
  engine: Engine,
  request: Making,
  { image, watch }: { readonly image: ActiveImage; readonly watch: StepWatch },
): Promise<Result<PinnedImage, BaseImageError>> {
  const config = await unpack(engine, request, watch.volumes);
  if (config.isErr()) return err(config.error);
  const filled = await runCommand(engine, request, { watch, config: config.value });
  if (filled.isErr()) return err(filled.error);
  if (request.signal.aborted) return err(cancelled(request.signal));
  const committed = await image.commit();
  return committed.isErr() ? err(fromStore(committed.error)) : ok(committed.value);
}

async function unpack(
  engine: Engine,
  { from, pull = 'auto', output, signal }: Making,
  into: Volumes,
): Promise<Result<ImageConfig, BaseImageError>> {
  if (from === undefined) return ok({ env: {} });
  const note = (text: string): Promise<void> => output.write(`${text}\n`);
  const image = { name: from, platform: engine.platform };
  const pinned = await engine.fetcher.pin(image, signal, { pull, note });
  if (pinned.isErr()) return err(fromFetcher(pinned.error));
  const unpacked = await engine.fetcher.unpack(pinned.value, into, { log: output, signal, pull });
  return unpacked.mapErr(fromFetcher);
}

async function runCommand(
  engine: Engine,
  request: Making,
  { watch, config }: { readonly watch: StepWatch; readonly config: ImageConfig },
): Promise<Result<void, BaseImageError>> {
  const { sandbox } = engine;
  const { volumes } = watch;
  const account = await accountOf(engine, request, volumes);
  if (account.isErr()) return err(account.error);
  const { uid, gid, home } = account.value;
  const given = request.from === undefined ? await giveTo(account.value, volumes) : ok();
  if (given.isErr()) return err(fromStore(given.error));
  const [program, ...args] = [...(request.shell ?? sandbox.defaultShell), request.command];
  using _turn = await engine.commands.take(request.signal);
  const exit = await runWatched(engine, watch, {
    argv: [program ?? request.command, ...args],
    cwd: home,
    env: { PATH: sandbox.defaultPath, HOME: home, ...config.env, ...request.env },
    user: { uid, gid },
    network: 'host',
    limits: {},
    volumes,
    mounts: [],
    secrets: [],
    output: request.output,
    signal: request.signal,
  });
  if (exit.isErr()) return err(exit.error);
  if (exit.value.type === 'exited' && exit.value.code === 0) return ok();
  return err({
    type: 'command-failed',
    exit: exit.value,
    message: `the command ${describeExit(exit.value)}`,
  });
}

async function accountOf(
  { sandbox }: Engine,
  { user }: Making,
  volumes: Volumes,
): Promise<Result<Account, BaseImageError>> {
  const account = await sandbox.account(user ?? { uid: 0, gid: 0 }, volumes);
  if (account.isErr()) return err(fromSandbox(account.error));
  if (account.value !== undefined) return ok(account.value);
  const name = user === undefined ? 'root' : 'name' in user ? `"${user.name}"` : `${user.uid}`;
  return err({ type: 'unknown-user', message: `the ${sandbox.name} sandbox knows no user ${name}` });
}

/** What is fresh belongs to root, and a home directory must be its user's. */
async function giveTo({ uid, gid }: Account, volumes: Volumes): Promise<Result<void, StoreError>> {
  for (const volume of volumes.values()) {
    const mounted = await volume.mount();
    if (mounted.isErr()) return err(mounted.error);
    await using place = mounted.value;
    const given = await attempt(chown(place.path, uid, gid));
    if (given.isErr()) return err(given.error);
  }
  return ok();
}
