import { type Check, fine, problem } from '../../check.ts';
import { onMac } from './on-mac.ts';

/** After an update of macOS, headers of the old version may stay here, and the compiler then finds both. */
const STALE = '/Library/Developer/CommandLineTools/usr/include/c++';

export const compiler: Check = onMac('compiler', async ({ ask }) => {
  const tools = await ask('xcode-select', ['-p']);
  if (tools?.exitCode !== 0)
    return problem('the command line tools are not installed', 'xcode-select --install');
  const trial = await ask('clang++', ['-x', 'c++', '-fsyntax-only', '-include', 'vector', '/dev/null']);
  if (trial?.exitCode === 0) return fine('it compiles C++');
  const [reason = 'there is no clang++'] = trial?.stderr.trim().split('\n') ?? [];
  return problem(`C++ does not compile: ${reason}`, `sudo rm -rf ${STALE}, or xcode-select --install`);
});
