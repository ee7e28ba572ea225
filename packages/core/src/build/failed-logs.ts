/** Which logs of steps that failed are kept. The oldest go first. */
export interface KeptLogs {
  /** Those that were written in so many milliseconds. Default: a week. */
  readonly maxAgeMs?: number;
  /** So many bytes of them altogether. Default: 256 MiB. */
  readonly maxBytes?: number;
}

const WEEK_MS = 7 * 24 * 3600 * 1000;
const MOST_BYTES = 256 * 1024 * 1024;

/** They are looked through again when so large a part of what may be kept has been added. */
const DUE_PART = 1 / 8;

/** The logs of steps that are not saved: what is kept of them, and when it is time to look. */
export class FailedLogs {
  readonly maxAgeMs: number;
  readonly maxBytes: number;
  #added = 0;

  constructor({ maxAgeMs = WEEK_MS, maxBytes = MOST_BYTES }: KeptLogs = {}) {
    if (!(maxAgeMs >= 0 && maxBytes >= 0))
      throw new RangeError(
        `keepFailedLogs has ${maxAgeMs} and ${maxBytes}, but cannot keep less than nothing`,
      );
    this.maxAgeMs = maxAgeMs;
    this.maxBytes = maxBytes;
  }

  get isSweepDue(): boolean {
    return this.#added > this.maxBytes * DUE_PART;
  }

  added(bytes: number): void {
    this.#added += bytes;
  }

  swept(): void {
    this.#added = 0;
  }
}
