import { BuilderHandle } from './builder-handle.ts';

/** A process with a builder, for one case after the other: another one whenever it has died. */
export class Worker implements AsyncDisposable {
  #handle: BuilderHandle | undefined;
  #env: Readonly<Record<string, string>> = {};

  get handle(): BuilderHandle {
    if (!this.#handle?.isAlive) this.#handle = new BuilderHandle(this.#env);
    return this.#handle;
  }

  /** What it has taken for itself goes with it. @param env - For those to come, beside our own. */
  async renew(env: Readonly<Record<string, string>> = {}): Promise<void> {
    this.#env = env;
    await this.#handle?.[Symbol.asyncDispose]();
    this.#handle = undefined;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.renew();
  }
}
