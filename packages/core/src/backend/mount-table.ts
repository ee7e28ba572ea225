/** One line of `/proc/self/mountinfo` (proc_pid_mountinfo(5)). */
export interface MountEntry {
  /** `MAJOR:MINOR` of the file system; not what `st_dev` says in a subvolume of Btrfs. */
  readonly device: string;
  readonly point: string;
  readonly type: string;
  readonly source: string;
  /** Those of the file system, such as `subvolid=5` or `lowerdir=…`. */
  readonly superOptions: string;
}

/** In the order of the kernel: of two at one point, the later hides the earlier. */
export function parseMountTable(mountinfo: string): MountEntry[] {
  return mountinfo.split('\n').filter(Boolean).map(parseLine);
}

/** What is mounted where a path is. */
export function mountOf(path: string, mounts: readonly MountEntry[]): MountEntry | undefined {
  let found: MountEntry | undefined;
  for (const mount of mounts) {
    const covers = mount.point === '/' || isAtOrBelow(path, mount.point);
    if (covers && (found === undefined || mount.point.length >= found.point.length)) found = mount;
  }
  return found;
}

/** @param point - Not `/`. */
export function isAtOrBelow(path: string, point: string): boolean {
  return path === point || path.startsWith(`${point}/`);
}

/** A lone `-` ends the optional fields in the middle. */
function parseLine(line: string): MountEntry {
  const fields = line.split(' ');
  const end = fields.indexOf('-', 6);
  const at = (index: number): string => unescapeField(fields[index] ?? '');
  return {
    device: at(2),
    point: at(4),
    type: at(end + 1),
    source: at(end + 2),
    superOptions: at(end + 3),
  };
}

/** Blanks and backslashes are octal escapes there. */
function unescapeField(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)));
}
