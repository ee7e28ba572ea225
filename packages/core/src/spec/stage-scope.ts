/**
 * The stages that a spec sees: those declared before it in its own spec, and in the specs around it. Each spec adds its
 * own to a scope of its own, so that nothing is copied.
 */
export class StageScope<T> {
  readonly #outside: StageScope<T> | undefined;
  readonly #own = new Map<string, T>();

  constructor(outside?: StageScope<T>) {
    this.#outside = outside;
  }

  add(name: string, stage: T): void {
    this.#own.set(name, stage);
  }

  has(name: string): boolean {
    return this.#own.has(name) || (this.#outside?.has(name) ?? false);
  }

  /** The last one of that name; undefined if there is none. */
  find(name: string): T | undefined {
    return this.#own.has(name) ? this.#own.get(name) : this.#outside?.find(name);
  }

  /** The outermost first. */
  *names(): Generator<string> {
    if (this.#outside) yield* this.#outside.names();
    yield* this.#own.keys();
  }
}
