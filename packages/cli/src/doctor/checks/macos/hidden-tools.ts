import { existsSync, realpathSync } from 'node:fs';
import { coveredDirectories, coveredPlaces } from '../../../macos-places.ts';
import { type Check, fine, notApplicable, problem, warning } from '../../check.ts';
import type { Scene } from '../../scene.ts';

/** What the builder itself runs while a step's volumes are mounted. */
const NEEDED = [
  ...[
    'zfs',
    'zpool',
    'mount',
    'umount',
    'hdiutil',
    'su',
    'dscl',
    'pkill',
    'pgrep',
    'kill',
    'launchctl',
    'crontab',
  ],
  ...['ipcs', 'ipcrm', 'chflags', 'find', 'touch', 'sandbox-exec'],
];

/**
 * A Homebrew that is mounted at /usr/local hides what is installed below it, and OpenZFS is: the next `zfs` would not
 * be found, or not its libraries.
 */
export const hiddenTools: Check = {
  name: 'hidden-tools',
  async look(scene) {
    if (scene.sandbox !== 'macos') return notApplicable('nothing is mounted over the host’s own paths');
    const covered = coveredPlaces(scene);
    const hidden = (await filesNeeded(scene)).filter((file) =>
      covered.some((prefix) => file.startsWith(`${prefix}/`)),
    );
    const searched = coveredDirectories(scene.path, covered);
    if (hidden.length === 0 && searched.length > 0) {
      return warning(
        `the PATH has ${searched.join(', ')}, where root would run what a step has put there`,
        'start a program of yours without it: opening its sandbox fails; snapstep itself does not look there',
      );
    }
    if (hidden.length === 0) return fine(`nothing that is needed lies below ${covered.join(', ')}`);
    return problem(
      `${hidden.join(', ')} will be hidden while a step runs`,
      'copy it elsewhere with its libraries (install_name_tool -change), and put that first in the PATH',
    );
  },
};

async function filesNeeded(scene: Scene): Promise<string[]> {
  const programs = NEEDED.flatMap((name) => scene.find(name) ?? []);
  const files = [process.execPath, ...programs].flatMap((file) =>
    existsSync(file) ? [file, realpathSync(file)] : [file],
  );
  const libraries: string[] = [];
  for (const program of new Set(files)) {
    libraries.push(...parseLibraries((await scene.ask('otool', ['-L', program]))?.stdout ?? ''));
  }
  return [...new Set([...files, ...libraries])];
}

/** `otool -L` prints the file and a colon, then a line `\t/path/lib.dylib (compatibility version ...)` for each. */
function parseLibraries(text: string): string[] {
  return [...text.matchAll(/^\t(\/.*) \(compatibility version/gm)].map(([, path]) => path ?? '');
}
