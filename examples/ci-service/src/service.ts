import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { type BuildError, type Builder, parseSpec, type StepKey } from '@snapstep/core';

/** One build of the service, from its start on. */
interface Job {
  readonly stop: AbortController;
  /** In the order in which they began: what to read to get the log of the whole build. */
  readonly steps: StepKey[];
  state: 'running' | 'passed' | 'failed' | 'cancelled';
  key?: StepKey;
  message?: string;
}

/**
 * A small CI service over HTTP, to show how a builder is used by a program that does many builds at once:
 *
 * - `POST /builds` with a spec starts a build and answers `{ "id": ... }`, or 400 with what is wrong;
 * - `GET /builds/ID` tells its state; `DELETE /builds/ID` cancels it;
 * - `GET /steps/KEY/log` is the log of a step, live if it still runs.
 */
export function ciService(builder: Builder): Server {
  const jobs = new Map<string, Job>();
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const [, place, id = '', rest] = (request.url ?? '').split('/');
    const job = place === 'builds' ? jobs.get(id) : undefined;
    if (place === 'builds' && request.method === 'POST') return start(builder, { jobs, request, response });
    if (place === 'steps' && rest === 'log') return sendLog(builder, id as StepKey, response);
    if (job === undefined) return send(response, 404, { message: 'no such build' });
    if (request.method === 'DELETE') job.stop.abort(new Error('cancelled by its owner'));
    const { stop: _, ...shown } = job;
    return send(response, 200, shown);
  };
  return createServer((request, response) => {
    // A promise that is rejected and that nobody waits for would end the service.
    answer(request, response).catch((error: unknown) => {
      console.error(error);
      response.destroy();
    });
  });
}

async function start(
  builder: Builder,
  { jobs, request, response }: { jobs: Map<string, Job>; request: IncomingMessage; response: ServerResponse },
): Promise<void> {
  const spec = parseSpec(await text(request));
  if (spec.isErr()) return send(response, 400, spec.error);
  const id = randomUUID();
  const job: Job = { stop: new AbortController(), steps: [], state: 'running' };
  jobs.set(id, job);
  send(response, 202, { id });

  const built = await builder.build({
    spec: spec.value,
    signal: job.stop.signal,
    onEvent: (event) => void (event.type === 'step-started' && job.steps.push(event.key)),
  });
  if (built.isErr()) return fail(job, built.error);
  await using result = built.value;
  job.key = result.key;
  job.state = 'passed';
}

function fail(job: Job, error: BuildError): void {
  job.state = error.type === 'cancelled' ? 'cancelled' : 'failed';
  if (error.type !== 'cancelled') job.message = error.message;
}

async function sendLog(builder: Builder, key: StepKey, response: ServerResponse): Promise<void> {
  const log = await builder.log(key);
  if (log.isErr() || log.value === undefined) return send(response, 404, { message: 'no such step' });
  const gone = new AbortController();
  response.on('close', () => gone.abort(new Error('the reader went away')));
  response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' });
  try {
    await pipeline(log.value.watch({ signal: gone.signal }), response);
  } catch (error) {
    if (!gone.signal.aborted) throw error;
  }
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
