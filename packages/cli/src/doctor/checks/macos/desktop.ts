import { type Check, fine, warning } from '../../check.ts';
import { onMac } from './on-mac.ts';

/** What keeps volumes busy, or takes the processor, and how each is told to stop. */
const HOLDERS: Readonly<Record<string, string>> = {
  Finder: 'log out of the desktop, and stay at the login window',
  screensharingd: 'sudo launchctl bootout system/com.apple.screensharing',
  mds_stores: 'sudo mdutil -a -i off',
  spindump: 'sudo launchctl disable system/com.apple.spindump',
  tailspind: 'sudo launchctl disable system/com.apple.tailspind',
};

export const desktop: Check = onMac('desktop-session', async ({ ask }) => {
  const running = parsePrograms((await ask('ps', ['-axo', 'comm=']))?.stdout ?? '');
  const holders = Object.keys(HOLDERS).filter((name) => running.has(name));
  if (holders.length === 0) return fine('nobody is logged in at the screen, and nothing indexes or samples');
  const mend = holders.map((name) => HOLDERS[name]).join('; ');
  return warning(`${holders.join(', ')} run: they keep volumes busy`, mend);
});

/** `ps -axo comm=` prints the path of each program, which may hold blanks. */
function parsePrograms(text: string): ReadonlySet<string> {
  return new Set(text.split('\n').map((line) => line.trim().split('/').at(-1) ?? ''));
}
