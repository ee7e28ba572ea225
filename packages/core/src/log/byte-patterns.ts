/** Where no pattern has begun. */
export const START = 0;
const UNKNOWN = -1;

/**
 * Finds all of several patterns in bytes that come one at a time, in linear time however they overlap (Aho and Corasick,
 * "Efficient string matching", 1975). A state stands for the longest beginning of a pattern that the bytes end with.
 */
export class BytePatterns {
  readonly #patterns: readonly Uint8Array[];
  /** The states behind {@link START}, by their byte: 0 for none, as in all that follows. */
  readonly #first = new Int32Array(256);
  readonly #child: Int32Array;
  readonly #sibling: Int32Array;
  readonly #byte: Uint8Array;
  /** The state of the longest beginning that is shorter; unknown until the state is first reached. */
  readonly #shorter: Int32Array;
  readonly #depth: Int32Array;
  readonly #match: Int32Array;
  /** A pattern that begins so. */
  readonly #pattern: Int32Array;
  #count = 1;

  /** @param patterns - At least one, and none of them empty. */
  constructor(patterns: readonly Uint8Array[]) {
    const most = patterns.reduce((sum, { length }) => sum + length, 1);
    const numbers = (): Int32Array => new Int32Array(most);
    this.#patterns = patterns;
    this.#child = numbers();
    this.#sibling = numbers();
    this.#byte = new Uint8Array(most);
    this.#shorter = numbers();
    this.#depth = numbers();
    this.#match = numbers();
    this.#pattern = numbers();
    for (const [index, pattern] of patterns.entries()) this.#add(pattern, index);
  }

  /** The state after one more byte. */
  next(state: number, byte: number): number {
    for (let at = state; at !== START; at = this.#shorter[at] as number) {
      const found = this.#childOf(at, byte);
      if (found === 0) continue;
      if (this.#shorter[found] === UNKNOWN) this.#link(found, at);
      return found;
    }
    return this.#first[byte] as number;
  }

  /** How many bytes the longest pattern has that ends here; 0 if none does. */
  matchAt(state: number): number {
    return this.#match[state] as number;
  }

  /** The bytes that a state stands for. */
  bytesOf(state: number): Uint8Array {
    const pattern = this.#patterns[this.#pattern[state] as number] as Uint8Array;
    return pattern.subarray(0, this.#depth[state]);
  }

  #add(pattern: Uint8Array, index: number): void {
    let state = START;
    for (const byte of pattern) {
      const known = state === START ? (this.#first[byte] as number) : this.#childOf(state, byte);
      state = known === 0 ? this.#grow(state, { byte, index }) : known;
    }
    this.#match[state] = this.#depth[state] as number;
  }

  #grow(parent: number, { byte, index }: { readonly byte: number; readonly index: number }): number {
    const state = this.#count++;
    this.#byte[state] = byte;
    this.#pattern[state] = index;
    this.#depth[state] = (this.#depth[parent] as number) + 1;
    if (parent === START) {
      this.#first[byte] = state;
    } else {
      this.#shorter[state] = UNKNOWN;
      this.#sibling[state] = this.#child[parent] as number;
      this.#child[parent] = state;
    }
    return state;
  }

  /** What a state falls back to is looked for when it is first reached: its beginnings were reached before. */
  #link(state: number, parent: number): void {
    const shorter = this.next(this.#shorter[parent] as number, this.#byte[state] as number);
    this.#shorter[state] = shorter;
    if (this.#match[state] === 0) this.#match[state] = this.#match[shorter] as number;
  }

  #childOf(state: number, byte: number): number {
    let child = this.#child[state] as number;
    while (child !== 0 && this.#byte[child] !== byte) child = this.#sibling[child] as number;
    return child;
  }
}
