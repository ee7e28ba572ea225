import { readFile } from 'node:fs/promises';

/** One line of `/proc/self/mountinfo`. https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html */
export interface MountEntry {
  readonly target: string;
  readonly fsType: string;
  /** The options of the file system, such as the controllers of a cgroup mount. */
  readonly superOptions: readonly string[];
}

/** What is mounted in this process's mount namespace, in the order in which it was mounted. */
export async function readMountTable(): Promise<readonly MountEntry[]> {
  return parseMountTable(await readFile('/proc/self/mountinfo', 'utf8'));
}

export function parseMountTable(text: string): readonly MountEntry[] {
  return text.split('\n').flatMap((line) => {
    const [before, after] = line.split(' - ');
    const target = before?.split(' ')[4];
    const [fsType, , superOptions] = after?.split(' ') ?? [];
    if (target === undefined || fsType === undefined) return [];
    return [{ target: unescapeOctal(target), fsType, superOptions: superOptions?.split(',') ?? [] }];
  });
}

/** Spaces, tabs, newlines and backslashes come as `\040` and the like, one escape for each byte. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits) => String.fromCharCode(Number.parseInt(digits, 8)));
}
