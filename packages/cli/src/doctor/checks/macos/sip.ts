import { type Check, fine, problem } from '../../check.ts';
import { onMac } from './on-mac.ts';

/** With SIP on, a kernel extension such as OpenZFS must have been approved; then it may stay on. */
export const sip: Check = onMac('sip', async ({ ask }) => {
  const status = parseSip((await ask('csrutil', ['status']))?.stdout ?? '');
  const loaded = hasZfs((await ask('kextstat', ['-l']))?.stdout ?? '');
  if (loaded) return fine(`System Integrity Protection is ${status}, and the extension of OpenZFS is loaded`);
  return problem(
    `System Integrity Protection is ${status}, and the kernel extension of OpenZFS is not loaded`,
    'approve it in System Settings > Privacy & Security (Apple silicon: allow extensions in recovery mode first), then reboot',
  );
});

/** `csrutil status` prints `System Integrity Protection status: enabled.`, also with `unknown (Custom Configuration)`. */
export function parseSip(text: string): string {
  return /Integrity Protection status: (.+?)\.?$/m.exec(text)?.[1] ?? 'in an unknown state';
}

/** `kextstat -l` has a line with `org.openzfsonosx.zfs (2.2.3)` for it. */
function hasZfs(text: string): boolean {
  return /\borg\.openzfsonosx\.zfs\b/.test(text);
}
