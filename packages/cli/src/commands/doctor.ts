import { resolve } from 'node:path';
import { err, ok, type Result } from '@snapstep/core';
import { type Command, Option } from 'commander';
import { perform } from '../action.ts';
import { CHECKS } from '../doctor/checks.ts';
import { type Examined, examine } from '../doctor/examine.ts';
import { hostScene, type Scene } from '../doctor/scene.ts';
import { EXIT, type Failure } from '../failure.ts';
import { type StoreOptions, storeOptions } from '../options.ts';
import { writeErr, writeOut } from '../output.ts';
import { parseText } from '../parse-values.ts';
import { toJson } from '../progress/sanitize.ts';
import { defaultSandbox } from '../sandbox-name.ts';
import { defaultStore, stateDirectories } from '../store-location.ts';
import { define } from './define.ts';

interface Options extends StoreOptions {
  readonly json?: boolean;
  readonly runtime?: string;
  readonly stateDir?: string;
}

export function doctorCommand(): Command {
  return define('doctor', {
    description:
      'Say what is wrong with this machine and the store, and how to mend it. Changes nothing, and works while a ' +
      'builder is running. Exits with 1 if anything is a problem.',
    options: [
      new Option('--json', 'one JSON object per line: name, state, found, mend'),
      new Option(
        '--state-dir <DIR>',
        'where a program of yours has its builder (default: with the store)',
      ).argParser(parseText),
      new Option('--runtime <PROGRAM>', 'the OCI runtime that steps run with').argParser(parseText),
      ...storeOptions(),
    ],
    examples: [
      'snapstep doctor --store btrfs:/data/snapstep',
      'snapstep doctor --store zfs:tank/snapstep --sandbox macos --macos-user mac1000:1000:20',
      'snapstep doctor --json | jq -r \'select(.state == "problem").mend\'',
    ],
  }).action((options: Options) => perform((signal) => doctor(options, signal)));
}

async function doctor(options: Options, signal: AbortSignal): Promise<Result<void, Failure>> {
  const counts = { ok: 0, warning: 0, problem: 0, 'not-applicable': 0 };
  for await (const examined of examine(CHECKS, sceneOf(options))) {
    if (signal.aborted) break;
    counts[examined.state] += 1;
    await writeOut(options.json ? `${toJson(examined)}\n` : shown(examined));
  }
  await writeErr(`${counts.ok} ok, ${counts.warning} warnings, ${counts.problem} problems\n`);
  return counts.problem === 0 ? ok() : err({ exitCode: EXIT.stepFailed, message: '' });
}

function sceneOf(options: Options): Scene {
  const store = options.store ?? defaultStore();
  const state = stateDirectories(store);
  return hostScene({
    store,
    state: options.stateDir === undefined ? state : { ...state, builder: resolve(options.stateDir) },
    sandbox: options.sandbox ?? defaultSandbox(),
    runtime: options.runtime,
    users: options.macosUser ?? [],
    homebrewPrefix: options.homebrewPrefix,
  });
}

const MARKS = { ok: 'ok', warning: 'warning', problem: 'PROBLEM' } as const;

/** What does not apply here is left out: on each kind of machine that is about half. */
function shown({ name, state, found, mend }: Examined): string {
  if (state === 'not-applicable') return '';
  const line = `${MARKS[state].padEnd(8)} ${name.padEnd(22)} ${found}\n`;
  return mend === undefined ? line : `${line}${' '.repeat(9)}mend it: ${mend}\n`;
}
