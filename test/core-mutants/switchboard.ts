/**
 * What instrumented modules ask: `__mutant(id)` says whether a mutant is there. Kept on `globalThis`, as modules may be
 * loaded more than once.
 */
export interface Switchboard {
  /** The mutant that is there now; 0: the program is as it was written. */
  active: number;
  /** Every mutant that was asked for. */
  readonly asked: Set<number>;
  /** How often one was asked for. */
  calls: number;
  /** More calls throw: a mutant that makes a loop endless shall not hang the process. */
  mostCalls: number;
  /** What gives the constants of modules their values. */
  readonly constants: (() => void)[];
}

declare global {
  var __switchboard: Switchboard | undefined;
  var __mutant: ((id: number) => boolean) | undefined;
  var __makeAgain: ((make: () => void) => void) | undefined;
  var __undisposed: (<T>(value: T) => T) | undefined;
}

globalThis.__switchboard ??= {
  active: 0,
  asked: new Set(),
  calls: 0,
  mostCalls: Number.POSITIVE_INFINITY,
  constants: [],
};

export const board: Switchboard = globalThis.__switchboard;

/** From now on this mutant is there; 0: none. */
export function choose(mutant: number): void {
  board.active = mutant;
  for (const make of board.constants) make();
}

class Runaway extends Error {}

globalThis.__mutant = (id) => {
  board.calls += 1;
  if (board.calls > board.mostCalls) throw new Runaway('it goes on and on');
  board.asked.add(id);
  return id === board.active;
};

globalThis.__makeAgain = (make) => {
  board.constants.push(make);
  make();
};

/** The same value, which `using` does not dispose. */
globalThis.__undisposed = (value) => {
  if (typeof value !== 'object' || value === null) return value;
  return new Proxy(value, {
    get(target, name) {
      if (name === Symbol.dispose || name === Symbol.asyncDispose) return () => {};
      const member = Reflect.get(target, name);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
};
