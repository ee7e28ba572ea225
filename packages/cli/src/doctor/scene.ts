import { readFile } from 'node:fs/promises';
import { runCommand } from '@snapstep/core';
import { findProgram } from '../find-program.ts';
import type { MacosUser } from '../macos-user.ts';
import type { SandboxName } from '../sandbox-name.ts';
import type { StateDirectories, StoreLocation } from '../store-location.ts';

/** What a program said. */
export interface Answer {
  /** Undefined if a signal ended it. */
  readonly exitCode: number | undefined;
  /** Empty if it failed. */
  readonly stdout: string;
  /** Empty if it succeeded. */
  readonly stderr: string;
}

/** The machine, and what is to be done on it. */
export interface Scene {
  readonly platform: NodeJS.Platform;
  readonly store: StoreLocation;
  readonly state: StateDirectories;
  readonly sandbox: SandboxName;
  /** The OCI runtime that was asked for. */
  readonly runtime: string | undefined;
  readonly users: readonly MacosUser[];
  readonly homebrewPrefix: string | undefined;
  /**
   * Asks a program of the host; undefined if it is not installed.
   *
   * @throws If it does not answer in time.
   */
  ask(program: string, args: readonly string[]): Promise<Answer | undefined>;
  /** Where programs are looked for. */
  readonly path: string;
  /** Where a program is; undefined if it is not installed. */
  find(program: string): string | undefined;
  /** The text of a file; undefined if there is none, or it may not be read. */
  read(file: string): Promise<string | undefined>;
}

/** Longer than a pool takes that is well; one that is not may never answer. */
const PATIENCE_MS = 10_000;

/** The machine that this runs on. */
export function hostScene(what: Omit<Scene, 'platform' | 'path' | 'ask' | 'find' | 'read'>): Scene {
  const { platform, env } = process;
  return { ...what, platform, path: env.PATH ?? '', ask, find: findProgram, read };
}

async function ask(program: string, args: readonly string[]): Promise<Answer | undefined> {
  if (findProgram(program) === undefined) return undefined;
  const answer = await runCommand(program, args, { signal: AbortSignal.timeout(PATIENCE_MS) });
  if (answer.isOk()) return { exitCode: 0, stdout: answer.value, stderr: '' };
  if (answer.error.type === 'failed') return { ...answer.error, stdout: '' };
  throw new Error(`"${[program, ...args].join(' ')}" did not answer within ${PATIENCE_MS / 1000} seconds`);
}

async function read(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').catch(() => undefined);
}
