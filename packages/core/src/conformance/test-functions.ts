/** The test functions of any runner, such as Vitest's, Jest's or those of `node:test`. */
export type TestFunctions =
  | {
      readonly describe: (title: string, body: () => void) => unknown;
      readonly it: (title: string, body: () => Promise<void>) => unknown;
    }
  | { readonly test: (title: string, body: () => Promise<void>) => unknown };

type Register = (title: string, body: () => Promise<void>) => void;

/** Registers tests under a title: in a block of their own, or, where the runner has none, as a prefix. */
export function group(functions: TestFunctions, title: string, body: (register: Register) => void): void {
  if ('test' in functions) {
    body((name, run) => void functions.test(`${title}: ${name}`, run));
    return;
  }
  functions.describe(title, () => body((name, run) => void functions.it(name, run)));
}
