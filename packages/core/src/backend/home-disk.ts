import { statSync } from 'node:fs';

/** The disk on which something was opened. */
export class HomeDisk {
  readonly #path: string;
  readonly #dev: number | undefined;

  /** @param path - Of a directory that is there. */
  constructor(path: string) {
    this.#path = path;
    this.#dev = this.#look();
  }

  /** Whether it is still mounted there. If not, what is missing in the directory may come back with the disk. */
  get isThere(): boolean {
    return this.#dev !== undefined && this.#look() === this.#dev;
  }

  #look(): number | undefined {
    try {
      return statSync(this.#path).dev;
    } catch {
      return undefined;
    }
  }
}
