interface ChosenTest<S> {
  readonly title: string;
  readonly body: (scene: S) => Promise<void>;
}

/** Leaves out the topics, and the single tests by their titles, that a suite is run without. */
export class Choice {
  readonly #suite: string;
  readonly #unknown: Set<string>;
  readonly #except: ReadonlySet<string>;

  constructor(suite: string, except: readonly string[] = []) {
    this.#suite = suite;
    this.#except = new Set(except);
    this.#unknown = new Set(except);
  }

  /** The tests of a topic that are wanted. One that is registered as not `possible` is known, and left out. */
  of<S>(
    topic: string,
    register: (test: (title: string, body: (scene: S) => Promise<void>, possible?: boolean) => void) => void,
  ): readonly ChosenTest<S>[] {
    const tests: ChosenTest<S>[] = [];
    this.#unknown.delete(topic);
    register((title, body, possible = true) => {
      this.#unknown.delete(title);
      if (possible && !this.#except.has(topic) && !this.#except.has(title)) tests.push({ title, body });
    });
    return tests;
  }

  /** @throws Error if something was left out that is no topic and no title. */
  expectAllKnown(): void {
    if (this.#unknown.size === 0) return;
    const names = [...this.#unknown].map((name) => `"${name}"`).join(', ');
    throw new Error(`${this.#suite} has no topic and no test ${names}`);
  }
}
