import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { BuilderTask, Said, Told } from './messages.ts';

const PROGRAM = fileURLToPath(new URL('builder-process.ts', import.meta.url));

/** A process with a builder, as seen by who tells it what to do. */
export class Worker {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #exited: Promise<unknown>;
  readonly #events: EventEmitter<{ said: [Said | undefined] }> = new EventEmitter();

  /** @param hear - Gets all that it says, in order. */
  constructor(task: BuilderTask, hear: (said: Said) => void) {
    this.#child = spawn(process.execPath, [PROGRAM, JSON.stringify(task)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    // It was told something after its end.
    this.#child.stdin.on('error', () => {});
    this.#exited = once(this.#child, 'close').then(() => this.#events.emit('said', undefined));
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      const said = JSON.parse(line) as Said;
      hear(said);
      this.#events.emit('said', said);
    });
  }

  /** The first thing of that type that it says from now on, or the `count`-th. Rejects if it ends first. */
  until<T extends Said['type']>(type: T, count = 1): Promise<Extract<Said, { type: T }>> {
    return new Promise((resolve, reject) => {
      let missing = count;
      const hear = (said: Said | undefined): void => {
        if (said?.type === type) missing -= 1;
        if (said !== undefined && missing > 0) return;
        this.#events.off('said', hear);
        if (said === undefined) reject(new Error(`the builder ended before it said "${type}"`));
        else resolve(said as Extract<Said, { type: T }>);
      };
      this.#events.on('said', hear);
    });
  }

  tell(command: Told): void {
    this.#child.stdin.write(`${command}\n`);
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }
}
