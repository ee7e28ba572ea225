import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Instrumented, instrument, type Mutant } from './instrument.ts';
import { TARGETS } from './targets.ts';

export const source: string = resolve(import.meta.dirname, '../../packages/core/src');

/** Every target with its mutants. Their numbers hold as long as no target is edited. */
export function instrumentAll(): ReadonlyMap<string, Instrumented> {
  const all = new Map<string, Instrumented>();
  let firstId = 1;
  for (const file of TARGETS) {
    const instrumented = instrument(readFileSync(join(source, file), 'utf8'), { file, firstId });
    all.set(file, instrumented);
    firstId += instrumented.mutants.length;
  }
  return all;
}

export function mutantsById(all: ReadonlyMap<string, Instrumented>): ReadonlyMap<number, Mutant> {
  return new Map([...all.values()].flatMap(({ mutants }) => mutants.map((mutant) => [mutant.id, mutant])));
}
