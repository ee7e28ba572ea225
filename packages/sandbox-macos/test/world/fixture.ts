import assert from 'node:assert/strict';
import { access, chmod, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Exit,
  type HostPath,
  type Owner,
  type Result,
  type RunRequest,
  type Sandbox,
  type SandboxError,
  toHostPath,
  toVolumeName,
  type Volumes,
} from '@snapstep/core/backend';
import { expectOk } from '@snapstep/test-support';
import { type MacosSandboxOptions, openMacosSandbox } from '../../src/index.ts';
import { placement, unmountAll, volumesOf } from './bind-store.ts';
import { user, users } from './suite-place.ts';

export interface Ran {
  readonly result: Result<Exit, SandboxError>;
  readonly text: string;
}

export type RunMore = Partial<RunRequest> & { readonly onOutput?: (text: string) => void };

/** A sandbox in a directory of its own, and what tests do with it. */
export class Fixture implements AsyncDisposable {
  readonly directory: string;
  readonly sandbox: Sandbox<'placement'>;

  private constructor(directory: string, sandbox: Sandbox<'placement'>) {
    this.directory = directory;
    this.sandbox = sandbox;
  }

  static async open(options: Partial<MacosSandboxOptions> = {}, above = '/Volumes'): Promise<Fixture> {
    const directory = await mkdtemp(join(above, 'steps-'));
    await chmod(directory, 0o755);
    return new Fixture(directory, expectOk(await openMacosSandbox({ ...optionsIn(directory), ...options })));
  }

  get stateDir(): HostPath {
    return optionsIn(this.directory).stateDir;
  }

  volumes(owner: Owner = user): Promise<Volumes> {
    return volumesOf(this.directory, owner);
  }

  /** Volumes of an image without Homebrew. */
  async home(owner: Owner = user): Promise<Volumes> {
    const all = await this.volumes(owner);
    return new Map([...all].filter(([name]) => name === toVolumeName('home')));
  }

  async run(script: string, { onOutput, ...more }: RunMore = {}): Promise<Ran> {
    let text = '';
    const write = async (chunk: Uint8Array | string): Promise<void> => {
      text += Buffer.from(chunk as Uint8Array).toString();
      onOutput?.(text);
    };
    const request: RunRequest = {
      argv: ['/bin/bash', '-c', script],
      cwd: '/',
      env: { PATH: process.env.PATH ?? '' },
      user,
      network: 'host',
      limits: {},
      volumes: more.volumes ?? (await this.volumes()),
      mounts: [],
      secrets: [],
      output: { write },
      signal: new AbortController().signal,
      ...more,
    };
    const result = await this.sandbox.run(request, { placement });
    return { result, text };
  }

  /** What a command that exits with 0 prints. */
  async output(script: string, more: RunMore = {}): Promise<string> {
    const { result, text } = await this.run(script, more);
    const exit = expectOk(result);
    if (exit.type === 'exited' && exit.code === 0) return text;
    throw new Error(`${script} ended with ${JSON.stringify(exit)}: ${text}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sandbox[Symbol.asyncDispose]();
    await unmountAll();
    await rm(this.directory, { recursive: true, force: true });
  }
}

export const HOME = '/Users/mac7001';

/** Looks into the home directory of a step that is not running. */
export async function inHome<T>(volumes: Volumes, look: (path: string) => Promise<T>): Promise<T> {
  const mounted = expectOk((await volumes.get(toVolumeName('home'))?.mount()) ?? assert.fail('no home'));
  return look(mounted.path);
}

export async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** Another PATH for this process, until it is disposed. */
export function withPath(change: (directories: readonly string[]) => readonly string[]): Disposable {
  const before = process.env.PATH ?? '';
  process.env.PATH = change(before.split(':')).join(':');
  return {
    [Symbol.dispose]() {
      process.env.PATH = before;
    },
  };
}

function optionsIn(directory: string): MacosSandboxOptions {
  return {
    users,
    homebrewPrefix: toHostPath('/opt/homebrew'),
    stateDir: toHostPath(join(directory, 'state')),
  };
}
