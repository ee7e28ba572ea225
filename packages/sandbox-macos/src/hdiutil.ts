import { type Cancelled, type CommandFailed, err, ok, type Result, runCommand } from '@snapstep/core/backend';

/**
 * Detaches the disk images that a user has attached. They stay when he has no process any more, and keep busy what they
 * are mounted in, such as his home directory.
 */
export async function detachImages(user: string): Promise<Result<void, CommandFailed | Cancelled>> {
  const listed = await runCommand('mount', []);
  if (listed.isErr()) return err(listed.error);
  // What was mounted last may lie in what was mounted first.
  for (const point of mountedBy(user, listed.value).reverse()) {
    const detached = await runCommand('hdiutil', ['detach', point, '-force']);
    if (detached.isErr()) return err(detached.error);
  }
  return ok();
}

/** Lines such as `/dev/disk4s1 on /Volumes/x (apfs, local, nodev, nosuid, mounted by mac1000)`. Exported for tests. */
export function mountedBy(user: string, text: string): string[] {
  const lines = [...text.matchAll(/^\/dev\/\S+ on (\/.*) \(([^()]*)\)$/gm)];
  return lines.flatMap(([, point = '', options = '']) =>
    options.split(', ').includes(`mounted by ${user}`) ? [point] : [],
  );
}
