import {
  type Cancelled,
  type CommandFailed,
  err,
  type FetchError,
  failed,
  type ImageConfig,
  type Result,
} from '@snapstep/core/backend';
import { copyTree } from './cp.ts';
import { fileDigest } from './file-digest.ts';
import { findLocal, whileUnchanged } from './local-file.ts';
import { sha256 } from './manifest.ts';
import type { ImageSource, SourceContext, UnpackTarget } from './source.ts';
import { extractTar } from './tar.ts';
import { type TreeDigest, treeDigest } from './tree-digest.ts';

/** A root file system in a directory or a tarball. It has no config: no environment, no user, no directory. */
export function rootfsSource(reference: { readonly path: string }, context: SourceContext): ImageSource {
  return {
    async pin({ signal }) {
      const path = await findLocal(reference.path, context);
      if (path.isErr()) return err(path.error);
      const options = { context, signal };
      if (!path.value.isDirectory) return tarballDigest(path.value.path, options);
      const tree = await treeDigest(path.value.path, { hashes: context.hashes, signal });
      return tree.map(({ digest }) => digest);
    },
    async unpack(target) {
      const path = await findLocal(reference.path, context);
      if (path.isErr()) return err(path.error);
      const { path: source, isDirectory } = path.value;
      await target.log.write(`Copying rootfs:${source}\n`);
      const copied = isDirectory
        ? await copyDirectory(source, { context, target })
        : await whileUnchanged(source, () => unpackTarball(source, { context, target }));
      return copied.map(() => ({ env: {} }) satisfies ImageConfig);
    },
  };
}

interface Options {
  readonly context: SourceContext;
  readonly target: UnpackTarget;
}

async function copyDirectory(
  source: string,
  { context, target }: Options,
): Promise<Result<void, FetchError>> {
  const { rootfs, digest, signal } = target;
  if (`${rootfs}/`.startsWith(`${source}/`)) {
    return err(failed(`${source} holds the place that it is to be copied to, ${rootfs}`));
  }
  const before = await treeDigest(source, { hashes: context.hashes, signal });
  if (before.isErr()) return err(before.error);
  if (before.value.digest !== digest) return err(failed(`${source} was changed since it was pinned`));
  const copied = await copyTree({ from: source, into: rootfs, signal });
  const after = await treeDigest(source, { hashes: context.hashes, signal });
  // A file that vanishes makes cp fail: then that is the reason to give.
  if (isChanged(before.value, after)) return err(failed(`${source} was changed while it was copied`));
  return copied.map(() => undefined).mapErr((error) => explain(source, error));
}

function isChanged(before: TreeDigest, after: Result<TreeDigest, FetchError>): boolean {
  return after.isErr() ? after.error.type !== 'cancelled' : after.value.stamp !== before.stamp;
}

async function unpackTarball(
  source: string,
  { context, target }: Options,
): Promise<Result<void, FetchError>> {
  const { rootfs, digest, signal } = target;
  const current = await tarballDigest(source, { context, signal });
  if (current.isErr()) return err(current.error);
  if (current.value !== digest) return err(failed(`${source} was changed since it was pinned`));
  const extracted = await extractTar({ archive: source, into: rootfs, signal });
  return extracted.map(() => undefined).mapErr((error) => explain(source, error));
}

async function tarballDigest(
  path: string,
  { context, signal }: { readonly context: SourceContext; readonly signal: AbortSignal },
): Promise<Result<string, FetchError>> {
  const digest = await fileDigest(path, { hashes: context.hashes, signal });
  return digest.map((file) => sha256(`snapstep tarball 1\n${file}`));
}

function explain(source: string, error: CommandFailed | Cancelled): FetchError {
  if (error.type === 'cancelled') return error;
  return failed(`${source} cannot be unpacked: ${error.stderr.trim() || error.message}`, error);
}
