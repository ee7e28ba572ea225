/** The name of libuv does not exist for this one: Node gives `code` as "Unknown system error -122". */
const EDQUOT: readonly number[] = [
  -122, // Linux
  -69, // macOS, FreeBSD
];

/** Whether a failed system call says that the disk, or a quota on it, is full. */
export function isDiskFull(error: object): boolean {
  const { code, errno } = error as NodeJS.ErrnoException;
  return code === 'ENOSPC' || (errno !== undefined && EDQUOT.includes(errno));
}

/** Whether a program says so, by the texts of strerror(3) in the C locale. */
export function saysDiskFull(text: string): boolean {
  return /No space left on device|Disk quota exceeded/.test(text);
}
