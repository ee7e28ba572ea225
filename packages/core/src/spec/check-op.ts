import { posix } from 'node:path';
import { checkMounts } from './check-mounts.ts';
import { checkText, checkTexts, type Finding } from './check-text.ts';
import { parseExclude } from './exclude-rules.ts';
import type { CopyOp, Op, RunOp, UserRef } from './spec.ts';
import type { SpecSize } from './spec-limits.ts';
import type { StageScope } from './stage-scope.ts';
import { didYouMean, enumerate, quote } from './suggest.ts';

export type { Finding };

/** What an op's rules depend on besides the op; the ops of a spec change it one after the other. */
export class Surroundings {
  /** The stages that a copy may name. */
  readonly stages: StageScope<true>;
  #workdir: string | undefined;
  #workdirLength = 0;
  readonly #size: SpecSize;
  readonly #environment = new Map<string, number>();
  #environmentBytes = 0;

  constructor(stages: StageScope<true>, size: SpecSize) {
    this.stages = stages;
    this.#size = size;
  }

  /** Undefined while only the base image knows it. */
  get workdir(): string | undefined {
    return this.#workdir;
  }

  /** @returns Whether the path that all `workdir` make together is one that a kernel takes. */
  enter(path: string): boolean {
    this.#workdirLength = path.startsWith('/') ? path.length : this.#workdirLength + 1 + path.length;
    if (this.#workdirLength > LONGEST_PATH) return false;
    if (path.startsWith('/')) this.#workdir = path;
    else if (this.#workdir !== undefined) this.#workdir = posix.join(this.#workdir, path);
    return true;
  }

  /** From here on each run has this variable. */
  setVariable(name: string, value: string): void {
    // A "=", a NUL and a pointer.
    const bytes = Buffer.byteLength(name) + Buffer.byteLength(value) + 10;
    this.#environmentBytes += bytes - (this.#environment.get(name) ?? 0);
    this.#environment.set(name, bytes);
  }

  /** @returns What is wrong, where it has more than is left. */
  addRun(): string | undefined {
    return this.#size.add(this.#environmentBytes, 'environmentBytes');
  }
}

export function* checkOp(
  op: Op,
  { path, around }: { path: string; around: Surroundings },
): Generator<Finding> {
  switch (op.op) {
    case 'comment':
      return yield* checkText(op.text, { path: `${path}.text` });
    case 'workdir':
      yield* checkText(op.path, { path: `${path}.path`, what: 'the working directory' });
      if (!around.enter(op.path)) yield { path: `${path}.path`, message: TOO_LONG };
      return;
    case 'shell':
      return yield* checkTexts(op.argv, { path: `${path}.argv` });
    case 'env':
      yield* checkEnvName(op.name, `${path}.name`);
      around.setVariable(op.name, op.value);
      return yield* checkText(op.value, { path: `${path}.value` });
    case 'user':
      return yield* checkUser(op.user, `${path}.user`);
    case 'run':
      return yield* checkRun(op, { path, around });
    case 'copy':
      return yield* checkCopy(op, { path, stages: around.stages });
  }
}

/** PATH_MAX of Linux. */
const LONGEST_PATH = 4096;
const TOO_LONG = `the working directory is longer than ${LONGEST_PATH} characters, as no path may be`;

function* checkEnvName(name: string, path: string): Generator<Finding> {
  yield* checkText(name, { path, what: 'the name of an environment variable' });
  if (/[=\s\p{Cc}]/u.test(name)) {
    const message = `${quote(name)} cannot name an environment variable: "=", white space and control characters are not allowed`;
    yield { path, message };
  }
}

function* checkUser(user: UserRef, path: string): Generator<Finding> {
  if ('name' in user) {
    yield* checkText(user.name, { path: `${path}.name`, what: 'the name of a user' });
    if (/[:\n]/.test(user.name))
      yield { path: `${path}.name`, message: 'the name of a user may not contain ":" or a line feed' };
    return;
  }
  for (const field of ['uid', 'gid'] as const) {
    const id = user[field];
    if (Number.isInteger(id) && id >= 0 && id <= 4294967294) continue;
    yield { path: `${path}.${field}`, message: `${id} is not a whole number from 0 to 4294967294` };
  }
}

function* checkRun(op: RunOp, { path, around }: { path: string; around: Surroundings }): Generator<Finding> {
  const tooMuch = around.addRun();
  if (tooMuch !== undefined) yield { path, message: tooMuch };
  yield* checkText(op.command, { path: `${path}.command` });
  yield* checkNetwork(op.network, `${path}.network`);
  yield* checkMounts(op, { path, workdir: around.workdir });
}

function* checkNetwork(network: readonly string[], path: string): Generator<Finding> {
  const index = network.findIndex((name, index) => name !== 'host' || index > 0);
  if (index < 0) return;
  const name = network[index] as string;
  const message =
    name === 'host'
      ? 'the network "host" is named twice'
      : `there is no network ${quote(name)}: a run has (network host) or none at all`;
  yield { path: `${path}[${index}]`, message };
}

function* checkCopy(
  op: CopyOp,
  { path, stages }: { path: string; stages: StageScope<true> },
): Generator<Finding> {
  if (op.from !== 'context') yield* checkStageName(op.from.stage, { path: `${path}.from.stage`, stages });
  yield* checkSources(op.src, `${path}.src`);
  yield* checkText(op.dst, { path: `${path}.dst`, what: 'the destination of a copy' });
  if (op.src.length > 1 && !op.dst.endsWith('/')) {
    yield {
      path: `${path}.dst`,
      message: `several sources need a directory to go to: write ${quote(`${op.dst}/`)}`,
    };
  }
  yield* checkExcludes(op.exclude, `${path}.exclude`);
}

/** So many names are looked through for one that may have been meant. */
const HINTS = 200;

function* checkStageName(
  name: string,
  { path, stages }: { path: string; stages: StageScope<true> },
): Generator<Finding> {
  if (stages.has(name)) return;
  const names = [...new Set(stages.names().take(HINTS))];
  const seen = enumerate(names.slice(0, 20).map(quote));
  const hint = didYouMean(name, names) || (seen ? `; there is ${seen}` : '; there is none');
  yield { path, message: `no stage before this copy is named ${quote(name)}${hint}` };
}

function* checkSources(sources: readonly string[], path: string): Generator<Finding> {
  if (sources.length === 0) yield { path, message: 'a copy needs at least one source' };
  yield* checkTexts(sources, { path });
  for (const [index, source] of sources.entries()) {
    if (!source.split('/').includes('..')) continue;
    yield { path: `${path}[${index}]`, message: `the source ${quote(source)} may not contain ".."` };
  }
}

function* checkExcludes(patterns: readonly string[], path: string): Generator<Finding> {
  yield* checkTexts(patterns, { path, what: 'a pattern to exclude' });
  let isFirst = true;
  for (const [index, pattern] of patterns.entries()) {
    const rule = parseExclude(pattern);
    const wrong = rule.isErr()
      ? rule.error
      : rule.value.takesBack && isFirst
        ? 'takes nothing back: nothing before it is excluded'
        : undefined;
    if (wrong) yield { path: `${path}[${index}]`, message: `the pattern ${quote(pattern)} ${wrong}` };
    isFirst &&= pattern.startsWith('!');
  }
}
