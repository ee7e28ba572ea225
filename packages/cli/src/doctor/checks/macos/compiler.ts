import { existsSync } from 'node:fs';
import { type Check, type Finding, fine, problem, warning } from '../../check.ts';
import { onMac } from './on-mac.ts';

/** After an update of macOS, headers of the old version may stay here, and the compiler then finds both. */
const STALE = '/Library/Developer/CommandLineTools/usr/include/c++';

export const compiler: Check = onMac('compiler', async ({ ask }) => {
  const tools = await ask('xcode-select', ['-p']);
  if (tools?.exitCode !== 0)
    return problem('the command line tools are not installed', 'xcode-select --install');
  return existsSync(STALE) ? stale() : fine(`the command line tools are in ${tools.stdout.trim()}`);
});

function stale(): Finding {
  return warning(`${STALE} may be of an older macOS: then C++ does not compile`, `sudo rm -rf ${STALE}`);
}
