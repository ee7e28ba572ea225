import { randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { isDiskFull } from '../../backend/disk-full.ts';

export const MIB: number = 1024 * 1024;

/**
 * Appends random bytes, which no disk makes smaller, and to the disk, where they are counted.
 *
 * @returns 'written', 'full', or the code of another error.
 */
export async function fillFile(
  path: string,
  bytes: number,
  chunk: number = MIB,
): Promise<string | undefined> {
  try {
    await using file = await open(path, 'a');
    for (let written = 0; written < bytes; written += chunk) {
      await file.write(randomBytes(chunk));
      if ((written / chunk) % 8 === 7) await file.sync();
    }
    await file.sync();
    return 'written';
  } catch (error) {
    const failure = error as NodeJS.ErrnoException;
    return isDiskFull(failure) ? 'full' : failure.code;
  }
}
