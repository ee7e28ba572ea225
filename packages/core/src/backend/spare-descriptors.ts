import { closeSync, openSync } from 'node:fs';

/** A child takes two for each pipe, and two until it has begun; some are for other threads, which open files meanwhile. */
const NEEDED = 14;

/**
 * Whether there are descriptors left to start a child process with, in this turn of the event loop.
 *
 * Ask before each `spawn`: one that fails with EMFILE never gives its pipes back (Node 24), so a process that ran out of
 * descriptors for a moment would lose what becomes free, bit by bit, until nothing can be started any more.
 */
export function hasSpareDescriptors(): boolean {
  const held: number[] = [];
  try {
    while (held.length < NEEDED) held.push(openSync('/', 'r'));
    return true;
  } catch {
    return false;
  } finally {
    for (const descriptor of held) closeSync(descriptor);
  }
}
