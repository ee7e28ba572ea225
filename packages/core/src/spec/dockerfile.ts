import { writeCopy } from './dockerfile-copy.ts';
import { writeRun } from './dockerfile-run.ts';
import { lose, type Sheet, type StageState, stageNames } from './dockerfile-stage.ts';
import { type EscapeChar, escapeQuoted, jsonForm, quoteWord } from './dockerfile-words.ts';
import type { Op, Spec, Stage, UserRef } from './spec.ts';
import { StageScope } from './stage-scope.ts';

export interface DockerfileOptions {
  /** Write for BuildKit, which has caches, secrets, excludes, here-documents and a run without network. */
  readonly buildkit?: boolean;
  /** The escape character. The back quote is for Windows, where paths have backslashes. Default: the backslash. */
  readonly escape?: EscapeChar;
  /** The shell of a `run` before any `shell` op. Default: Docker's own, and the difference counts as lost. */
  readonly defaultShell?: readonly string[];
}

export interface Dockerfile {
  readonly text: string;
  /** A sentence for each thing of the spec that this Dockerfile does not say. */
  readonly lost: readonly string[];
}

/**
 * Writes a spec as a Dockerfile that builds the same, as far as a Dockerfile can.
 *
 * What depends on the files is in no list: Docker follows a source that is a symbolic link, keeps the modes of what it
 * copies, and does not apply the user of a base image to `COPY`.
 *
 * @param spec - One that {@link checkSpec} accepts.
 */
export function toDockerfile(
  spec: Spec,
  { buildkit = false, escape: escapeChar = '\\', defaultShell }: DockerfileOptions = {},
): Dockerfile {
  const sheet: Sheet = { lines: [], lost: [], buildkit, escapeChar, defaultShell };
  // Excludes are the newest of what is used: https://docs.docker.com/build/buildkit/dockerfile-release-notes/#1190
  if (buildkit) sheet.lines.push('# syntax=docker/dockerfile:1');
  if (escapeChar === '`') sheet.lines.push('# escape=`');
  if (sheet.lines.length > 0) sheet.lines.push('');
  writeSpec(spec, { sheet, nameOf: stageNames(spec) });
  const text = `${sheet.lines.join('\n')}\n`;
  if (text.split('\n').some((line) => Buffer.byteLength(line) > maxLineBytes))
    sheet.lost.push(`a line is longer than the ${maxLineBytes} bytes that Docker reads`);
  return { text, lost: [...new Set(sheet.lost)] };
}

const maxLineBytes = 65535;

interface Writing {
  readonly sheet: Sheet;
  readonly nameOf: (stage: Stage) => string;
  /** The stages that the spec sees, and their names in the Dockerfile. Default: none. */
  readonly outside?: StageScope<string>;
}

function writeSpec(spec: Spec, { sheet, nameOf, outside }: Writing, name?: string): void {
  const stages = new StageScope(outside);
  for (const stage of spec.stages) {
    const stageName = nameOf(stage);
    writeSpec(stage.spec, { sheet, nameOf, outside: stages }, stageName);
    sheet.lines.push('');
    stages.add(stage.name, stageName);
  }
  const base = quoteWord(baseImage(spec, sheet), sheet.escapeChar);
  sheet.lines.push(`FROM ${base}${name === undefined ? '' : ` AS ${name}`}`);
  const state: StageState = { stages, user: undefined, shell: sheet.defaultShell };
  if (sheet.defaultShell && usesDefaultShell(spec)) sheet.lines.push(`SHELL ${jsonForm(sheet.defaultShell)}`);
  for (const op of spec.ops) writeOp(op, state, sheet);
}

/** `docker://` says what Docker assumes. Other transports it does not have. */
function baseImage({ from }: Spec, sheet: Sheet): string {
  const image = from.replace(/^docker:\/\//, '').replace(/[\s\x85]/g, '_');
  if (/[\s\x85]/.test(from))
    lose(sheet, { op: 'base', image: from }, 'FROM takes no blanks, so they are replaced');
  if (/^(oci|oci-archive|docker-archive|rootfs):/.test(image)) {
    lose(sheet, { op: 'base', image: from }, 'FROM takes images from registries only');
  }
  return image;
}

function usesDefaultShell({ ops }: Spec): boolean {
  const first = ops.find((op) => op.op === 'run' || op.op === 'shell');
  return first?.op === 'run';
}

function writeOp(op: Op, state: StageState, sheet: Sheet): void {
  switch (op.op) {
    case 'comment':
      for (const line of op.text.split(/\r\n|\r|\n/)) sheet.lines.push(`# ${line}`.trimEnd());
      break;
    case 'workdir':
      writeWord('WORKDIR', op.path, { op, sheet });
      break;
    case 'shell':
      state.shell = op.argv;
      if (op.argv.length > 0) sheet.lines.push(`SHELL ${jsonForm(op.argv)}`);
      break;
    case 'env':
      writeEnv(op, sheet);
      break;
    case 'user':
      state.user = op.user;
      writeWord('USER', userName(op.user), { op, sheet });
      break;
    case 'run':
      writeRun(op, state, sheet);
      break;
    case 'copy':
      writeCopy(op, state, sheet);
      break;
  }
}

function userName(user: UserRef): string {
  return 'name' in user ? user.name : `${user.uid}:${user.gid}`;
}

function writeWord(instruction: string, text: string, { op, sheet }: { op: Op; sheet: Sheet }): void {
  if (hasLineBreak(text)) lose(sheet, op, `${instruction} cannot hold a line break, so it is left out`);
  else sheet.lines.push(`${instruction} ${quoteWord(text, sheet.escapeChar)}`);
}

function writeEnv(op: Op & { op: 'env' }, sheet: Sheet): void {
  const isPlainName = !/["'$\\`]|^--/.test(op.name);
  if (hasLineBreak(op.value)) lose(sheet, op, 'ENV cannot hold a line break, so it is left out');
  else if (!isPlainName) lose(sheet, op, 'ENV cannot hold this name, so it is left out');
  else sheet.lines.push(`ENV ${op.name}="${escapeQuoted(op.value, sheet.escapeChar)}"`);
}

function hasLineBreak(text: string): boolean {
  return /[\n\r]/.test(text);
}
