/** What was found out a moment ago, and is not asked again so soon. */
export class Recent<T> {
  readonly #entries = new Map<string, { readonly value: T; readonly until: number }>();
  readonly #milliseconds: number;

  constructor(milliseconds: number) {
    this.#milliseconds = milliseconds;
  }

  get(key: string): T | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined || entry.until > performance.now()) return entry?.value;
    this.#entries.delete(key);
    return undefined;
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }

  set(key: string, value: T): void {
    this.#entries.set(key, { value, until: performance.now() + this.#milliseconds });
  }
}
