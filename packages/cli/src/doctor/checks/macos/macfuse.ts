import { existsSync } from 'node:fs';
import { type Check, fine, warning } from '../../check.ts';
import { onMac } from './on-mac.ts';

const PLACES = ['/Library/Filesystems/macfuse.fs', '/Library/Filesystems/osxfuse.fs'];

/** Snapstep needs no FUSE; one that redirects paths, as other builders installed it, is slow and gets stuck. */
export const macfuse: Check = onMac('macfuse', async ({ ask }) => {
  const loaded = /\bio\.macfuse\b/.test((await ask('kextstat', ['-l']))?.stdout ?? '');
  const installed = PLACES.filter((place) => existsSync(place));
  if (!loaded && installed.length === 0) return fine('not installed');
  return warning(
    `macFUSE is ${loaded ? 'loaded' : 'installed'}, and nothing here needs it`,
    `sudo ${installed[0] ?? PLACES[0]}/Contents/Resources/uninstall_macfuse.app/Contents/Resources/Scripts/uninstall_macfuse.sh`,
  );
});
