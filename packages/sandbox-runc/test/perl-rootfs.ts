import { execFile } from 'node:child_process';
import { copyFile, mkdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';

/** Copies the host's perl: it can make any system call. */
export async function addPerl(rootfs: string): Promise<void> {
  await addPrograms(rootfs, ['/usr/bin/perl']);
}

/** Copies programs of the host, and the libraries they are linked with, into a root file system of busybox. */
export async function addPrograms(rootfs: string, programs: readonly string[]): Promise<void> {
  for (const program of programs) {
    const { stdout } = await promisify(execFile)('ldd', [program]);
    const libraries = [...stdout.matchAll(/(\/\S+) \(0x/g)].map(([, path = '']) => path);
    // Where busybox has one of that name it would be found first.
    await rm(join(rootfs, 'bin', basename(program)), { force: true });
    for (const path of [program, ...libraries]) {
      await mkdir(join(rootfs, dirname(path)), { recursive: true });
      await copyFile(path, join(rootfs, path));
    }
  }
}

/** A script that prints the error of each system call, 0 for none: `[name, number, arguments as perl]`. */
export function callEach(calls: readonly (readonly [string, number, string])[]): string {
  const lines = calls.map(
    ([name, number, args]) =>
      `$! = 0; syscall(${[number, args].filter(String).join(', ')}); print "${name} ", $! + 0, "\\n";`,
  );
  return `exec perl -e '$| = 1; ${lines.join(' ')}'`;
}

/** `exit(42)` for 32-bit x86. */
export const EXIT_42: readonly number[] = [0xb8, 1, 0, 0, 0, 0xbb, 42, 0, 0, 0, 0xcd, 0x80];

/** `exit(socketcall(SYS_SOCKET, {AF_INET, SOCK_STREAM, 0}))` for 32-bit x86: the descriptor, which is 3. */
export const SOCKETCALL: readonly number[] = [
  // push 0; push 1; push 2; mov ecx, esp; mov ebx, 1; mov eax, 102; int 0x80
  ...[0x6a, 0, 0x6a, 1, 0x6a, 2, 0x89, 0xe1, 0xbb, 1, 0, 0, 0, 0xb8, 102, 0, 0, 0, 0xcd, 0x80],
  // mov ebx, eax; mov eax, 1; int 0x80
  ...[0x89, 0xc3, 0xb8, 1, 0, 0, 0, 0xcd, 0x80],
];

/** The smallest program for 32-bit x86 around some machine code. */
export function tinyI386(code: readonly number[]): Uint8Array {
  const header = Buffer.alloc(84);
  header.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
  const size = header.length + code.length;
  const fields: [number, number, 2 | 4][] = [
    ...([
      [16, 2, 2],
      [18, 3, 2],
      [20, 1, 4],
      [24, 0x08048054, 4],
      [28, 52, 4],
    ] as [number, number, 2 | 4][]),
    ...([
      [40, 52, 2],
      [42, 32, 2],
      [44, 1, 2],
    ] as [number, number, 2 | 4][]),
    ...([
      [52, 1, 4],
      [60, 0x08048000, 4],
      [64, 0x08048000, 4],
    ] as [number, number, 2 | 4][]),
    ...([
      [68, size, 4],
      [72, size, 4],
      [76, 5, 4],
      [80, 4096, 4],
    ] as [number, number, 2 | 4][]),
  ];
  for (const [offset, value, width] of fields) header.writeUIntLE(value, offset, width);
  return Buffer.concat([header, Buffer.from(code)]);
}
