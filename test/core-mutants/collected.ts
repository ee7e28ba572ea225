declare global {
  var __collectedTests: Map<string, () => Promise<void>> | undefined;
}

globalThis.__collectedTests ??= new Map();

/** The tests of all files, by their names: they are run by the judge, as often as it likes. */
export const collected: Map<string, () => Promise<void>> = globalThis.__collectedTests;
