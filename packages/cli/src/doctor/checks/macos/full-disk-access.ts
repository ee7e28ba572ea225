import { open } from 'node:fs/promises';
import { type Check, type Finding, fine, warning } from '../../check.ts';
import { onMac } from './on-mac.ts';

/** Only who has full disk access may read it, root or not. */
const PROTECTED = '/Library/Application Support/com.apple.TCC/TCC.db';

export const fullDiskAccess: Check = onMac('full-disk-access', () => lookAt(PROTECTED));

/** Exported for tests. */
export async function lookAt(file: string): Promise<Finding> {
  try {
    await (await open(file)).close();
    return fine('granted to whoever started this');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return warning(
      `not granted to whoever started this (${code}): some files fail with "Operation not permitted", also for root`,
      'System Settings > Privacy & Security > Full Disk Access: add sshd-keygen-wrapper, Terminal, or node for launchd',
    );
  }
}
