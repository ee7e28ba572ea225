import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { KeyedMutex } from '../../src/cache/keyed-mutex.ts';

describe('tasks of one name', () => {
  it('run one after the other, in the order in which they came, and give what they made', async () => {
    const mutex = new KeyedMutex<string>();
    const { task, started, finish } = tasks();
    const [a, b, c] = ['a', 'b', 'c'].map((name) => mutex.run('same', task(name)));
    await setImmediate();
    expect(started).toEqual(['a']);
    finish('a');
    expect(await a).toBe('a');
    await setImmediate();
    expect(started).toEqual(['a', 'b']);
    finish('b');
    finish('c');
    expect([await b, await c]).toEqual(['b', 'c']);
  });

  it('go on after one that failed, whose failure only its caller has', async () => {
    const mutex = new KeyedMutex<string>();
    const failing = mutex.run('same', () => Promise.reject(new Error('broken')));
    const next = mutex.run('same', async () => 'next');
    await expect(failing).rejects.toThrow('broken');
    expect(await next).toBe('next');
  });

  it('run one at a time also when one ends while others wait', async () => {
    const mutex = new KeyedMutex<string>();
    const { task, started, finish } = tasks();
    const a = mutex.run('same', task('a'));
    const b = mutex.run('same', task('b'));
    finish('a');
    await a;
    const c = mutex.run('same', task('c'));
    await setImmediate();
    expect(started).toEqual(['a', 'b']);
    finish('b');
    finish('c');
    await Promise.all([b, c]);
  });
});

describe('a name', () => {
  it('is forgotten once no task of it is left, however the last one ended', async () => {
    const mutex = new KeyedMutex<object>();
    const name = await usedName(mutex);
    await setImmediate();
    collectGarbage();
    expect(name.deref()).toBeUndefined();
    expect(await mutex.run({}, async () => 'still of use')).toBe('still of use');
  });
});

describe('tasks of several names', () => {
  it('run at the same time', async () => {
    const mutex = new KeyedMutex<string>();
    const { task, started, finish } = tasks();
    const both = [mutex.run('one', task('a')), mutex.run('other', task('b'))];
    await setImmediate();
    expect(started).toEqual(['a', 'b']);
    finish('b');
    finish('a');
    await Promise.all(both);
  });
});

async function usedName(mutex: KeyedMutex<object>): Promise<WeakRef<object>> {
  const name = {};
  await Promise.all([mutex.run(name, async () => 'one'), mutex.run(name, async () => 'other')]);
  await expect(mutex.run(name, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
  return new WeakRef(name);
}

function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
}

/** Tasks that end when they are told to. */
function tasks() {
  const started: string[] = [];
  const ends = new Map<string, PromiseWithResolvers<void>>();
  const end = (name: string): PromiseWithResolvers<void> => {
    const known = ends.get(name) ?? Promise.withResolvers<void>();
    ends.set(name, known);
    return known;
  };
  return {
    started,
    finish: (name: string): void => end(name).resolve(),
    task: (name: string) => async (): Promise<string> => {
      started.push(name);
      await end(name).promise;
      return name;
    },
  };
}
