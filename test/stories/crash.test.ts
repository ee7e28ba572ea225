import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { toStepKey } from '@snapstep/core';
import { expectOk } from '@snapstep/test-support';
import { execa } from 'execa';
import { expect, it } from 'vitest';
import { forEachCombination, makePlace, type OpenPlace } from './combination.ts';

const CHILD = fileURLToPath(new URL('crash-child.ts', import.meta.url));
const KILLS = 6;

interface Killed {
  /** Key of each build that was reported as done → what its last step wrote. */
  readonly saved: ReadonlyMap<string, string>;
}

/** Runs the child, and kills it so long after it was open. */
async function runAndKill(options: object, afterMs: number): Promise<Killed> {
  const child = spawn(process.execPath, [CHILD, JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const saved = new Map<string, string>();
  let timer: NodeJS.Timeout | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    const [word, key = '', text = ''] = line.split(' ');
    if (word === 'open') timer = setTimeout(() => child.kill('SIGKILL'), afterMs);
    else saved.set(key, text);
  }
  clearTimeout(timer);
  return { saved };
}

async function checkSaved(world: OpenPlace, saved: ReadonlyMap<string, string>): Promise<void> {
  for (const [key, text] of saved) {
    await using leased = expectOk(await world.builder.open(toStepKey(key)));
    const [volume] = leased.snapshot.volumes.values();
    await using root = expectOk(await (volume?.mount() ?? Promise.reject(new Error('no volume'))));
    expect(await readFile(join(root.path, 'b'), 'utf8')).toBe(`${text}\n${text}\n`);
    expect((await readdir(root.path)).filter((name) => name.startsWith('dirt'))).toEqual([]);
  }
  const listed = expectOk(await world.builder.list()).map(({ key }) => key);
  expect(listed.toSorted()).toEqual(expectOk(await world.store.list()).toSorted());
}

forEachCombination('a builder that is killed at any moment [X1] [X2] [X3] [P18] [R1]', (combination) => {
  it('has everything it reported as saved, and nothing else, when it is opened again', {
    timeout: 180_000,
  }, async () => {
    await using place = await makePlace(combination);
    const saved = new Map<string, string>();
    // On a busy machine nothing may be saved in a second.
    let longestMs = 1000;
    for (let i = 0; i < KILLS || saved.size === 0; i += 1) {
      // The step that was killed is the first to run again.
      const options = { ...combination, path: place.path, rootfs: place.rootfs, first: saved.size };
      const killed = await runAndKill(options, longestMs * (0.1 + 0.9 * Math.random()));
      if (killed.saved.size === 0) longestMs *= 1.5;
      for (const [key, text] of killed.saved) saved.set(key, text);
      await using world = await place.open();
      await checkSaved(world, saved);
    }
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
    expect(mounts.filter((line) => line.includes(`${place.path}/`))).toEqual([]);
    expect(await processesBelow(place.path)).toEqual([]);
    const places = [place.path, '/dev/shm', '/run'];
    const secret = 'a-secret-that-must-not-stay';
    const { stdout } = await execa('grep', ['-rla', '--devices=skip', secret, ...places], { reject: false });
    expect(stdout).toBe('');
  });
});

async function processesBelow(path: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
  );
  return lines.filter((line) => line.includes(path));
}
