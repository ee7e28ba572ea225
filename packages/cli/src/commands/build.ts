import { resolve } from 'node:path';
import { type BuildLimits, type BuildRequest, err, ok, type Result, toHostPath } from '@snapstep/core';
import type { Command } from 'commander';
import { perform } from '../action.ts';
import { buildFailure } from '../build-failure.ts';
import { type Failure, usageFailure } from '../failure.ts';
import { pullPolicy, type RunOptions, runOptions, type SpecOptions } from '../options.ts';
import { writeOut } from '../output.ts';
import { openProgress } from '../progress/open-progress.ts';
import type { Progress } from '../progress/progress.ts';
import { readSecrets } from '../secrets.ts';
import { readSpec, type SpecSource } from '../spec-source.ts';
import { withBuilder } from '../with-builder.ts';
import { define } from './define.ts';

export function buildCommand(): Command {
  return define('build', {
    description: 'Build a spec. Prints the key of the last step.',
    arguments: [['[CONTEXT]', 'the directory that (copy (src ...)) reads']],
    options: runOptions(),
    examples: [
      'snapstep build -f build.spec .',
      'snapstep build -f build.spec --image debian=oci-archive:debian.tar --memory 2G --timeout 30m .',
      'snapstep build -f build.spec --secret token:$HOME/.token --ignore-file .dockerignore --progress plain . 2> build.log',
    ],
  }).action(async (context: string | undefined, options: RunOptions) => {
    await using progress = openProgress(options.progress);
    await perform((signal) => build({ context, options, progress, signal }), {
      report: (failure) => progress.fail(failure),
      announce: (text) => progress.announce(text),
    });
  });
}

interface BuildWork {
  readonly context: string | undefined;
  readonly options: RunOptions;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

async function build({ context, options, progress, signal }: BuildWork): Promise<Result<void, Failure>> {
  const request = await readRequest(context, options);
  if (request.isErr()) return err(request.error);
  const { source, ...inputs } = request.value;
  const key = await withBuilder(options, async (builder) => {
    const built = await builder.build({
      ...inputs,
      limits: limitsOf(options),
      replayLogs: options.replay ?? false,
      signal,
      onEvent: (event) => progress.event(event),
    });
    if (built.isErr()) {
      return err(buildFailure(built.error, { source, tailOf: (step) => progress.tailOf(step) }));
    }
    await using result = built.value;
    return ok(result.key);
  });
  if (key.isErr()) return err(key.error);
  await progress[Symbol.asyncDispose]();
  await writeOut(`${key.value}\n`);
  return ok();
}

/** What `build` and `plan` are asked for: the spec, its context and its secrets. */
export async function readRequest(
  context: string | undefined,
  options: SpecOptions,
): Promise<
  Result<
    Pick<BuildRequest, 'spec' | 'context' | 'ignoreFiles' | 'secrets' | 'pull'> & { source: SpecSource },
    Failure
  >
> {
  if (context === '') return err(usageFailure('the context is empty: "." is the current directory'));
  const source = await readSpec(options.file);
  if (source.isErr()) return err(source.error);
  const secrets = await readSecrets(options.secret ?? new Map());
  if (secrets.isErr()) return err(secrets.error);
  return ok({
    source: source.value,
    spec: source.value.spec,
    secrets: secrets.value,
    ignoreFiles: options.ignoreFile ?? [],
    pull: pullPolicy(options),
    ...(context === undefined ? {} : { context: toHostPath(resolve(context)) }),
  });
}

function limitsOf(options: RunOptions): BuildLimits {
  return {
    ...(options.memory === undefined ? {} : { memoryBytes: options.memory }),
    ...(options.cpus === undefined ? {} : { cpus: options.cpus }),
    ...(options.pids === undefined ? {} : { pids: options.pids }),
    ...(options.timeout === undefined ? {} : { timeoutMs: options.timeout }),
    ...(options.silence === undefined ? {} : { silenceMs: options.silence }),
    ...(options.logSize === undefined ? {} : { logBytes: options.logSize }),
  };
}
