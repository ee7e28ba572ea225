import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { type Builder, parseSpec, toHostPath } from '@snapstep/core';

/** What the scheduler of a cluster sends to a worker: one line of JSON for each job. */
export interface Job {
  readonly id: string;
  readonly spec: string;
  /** The directory with the sources. */
  readonly context?: string;
}

/** What the worker answers: one line of JSON for each job, in the order in which they end. */
export interface Answer {
  readonly id: string;
  readonly key?: string;
  readonly error?: string;
}

/**
 * One machine's share of a cluster: reads jobs until there are no more, does up to `capacity` of them at once,
 * and says how each ended. Between jobs it prunes, so that the disk never fills up.
 */
export async function work(
  builder: Builder,
  {
    jobs,
    answers,
    capacity,
  }: { readonly jobs: Readable; readonly answers: Writable; readonly capacity: number },
): Promise<void> {
  const running = new Set<Promise<void>>();
  for await (const line of createInterface({ input: jobs })) {
    while (running.size >= capacity) await Promise.race(running);
    const job = doJob(builder, JSON.parse(line)).then((answer) => {
      answers.write(`${JSON.stringify(answer)}\n`);
      running.delete(job);
    });
    running.add(job);
  }
  await Promise.all(running);
  await builder.prune({ keepFreeBytes: 5e9 });
}

async function doJob(builder: Builder, { id, spec, context }: Job): Promise<Answer> {
  const parsed = parseSpec(spec);
  if (parsed.isErr())
    return { id, error: `${parsed.error.line}:${parsed.error.column}: ${parsed.error.message}` };
  const request = { spec: parsed.value, ...(context === undefined ? {} : { context: toHostPath(context) }) };
  const built = await builder.build(request);
  if (built.isErr()) return { id, error: built.error.message };
  await using result = built.value;
  return { id, key: result.key };
}
