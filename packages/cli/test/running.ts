import type { Workplace } from './support.ts';

/** A command that goes on, until it ends or is disposed: then it is interrupted and waited for. */
export interface Running extends AsyncDisposable {
  readonly pid: number | undefined;
  /** Settles when the text has come on standard error; throws if the command ends without it. */
  prints(text: string): Promise<void>;
  kill(signal: NodeJS.Signals): void;
  readonly end: Promise<{ readonly exitCode: number | undefined; readonly stderr: string }>;
}

export function running(place: Workplace, args: readonly string[]): Running {
  const child = place.start(args);
  let seen = '';
  const waiting = new Set<() => void>();
  child.stderr?.on('data', (chunk) => {
    seen += chunk;
    for (const look of waiting) look();
  });
  const end = child.then(({ exitCode, stderr }) => ({ exitCode, stderr: String(stderr) }));
  return {
    pid: child.pid,
    end,
    kill: (signal) => void child.kill(signal),
    async prints(text) {
      const { promise, resolve } = Promise.withResolvers<'seen'>();
      const look = (): void => {
        if (seen.includes(text)) resolve('seen');
      };
      waiting.add(look);
      look();
      const first = await Promise.race([promise, end]);
      waiting.delete(look);
      if (first !== 'seen') throw new Error(`it ended without "${text}": ${first.stderr}`);
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGINT');
      await end;
    },
  };
}
