import type { IgnoreFile, PullPolicy } from '@snapstep/core';
import type { Allowance } from '@snapstep/sandbox-runc';
import { Option } from 'commander';
import { type MacosUser, parseMacosUsers } from './macos-user.ts';
import {
  allowances,
  hosts,
  ignoreFiles,
  orNone,
  pairs,
  parseAbsolutePath,
  parseCount,
  parseCpus,
  parseDuration,
  parseMemory,
  parsePids,
  parseText,
} from './parse-values.ts';
import type { ProgressMode } from './progress/progress.ts';
import { SANDBOXES, type SandboxName } from './sandbox-name.ts';
import { parseStore, type StoreLocation } from './store-location.ts';

/** What every command that opens a store understands. */
export interface StoreOptions extends SandboxOptions {
  readonly store?: StoreLocation;
  readonly adopt?: boolean;
}

/** Which sandbox, and what only one of them needs to know. */
export interface SandboxOptions {
  readonly sandbox?: SandboxName;
  readonly macosUser?: readonly MacosUser[];
  readonly homebrewPrefix?: string;
}

/** What a command that looks up base images understands. */
export interface ImageOptions extends StoreOptions {
  readonly image?: ReadonlyMap<string, string>;
  readonly insecureRegistry?: readonly string[];
  readonly runtime?: string;
  readonly fastSync?: boolean;
  readonly allow?: readonly Allowance[];
}

/** What a command that looks base images up now understands. */
export interface PullOptions {
  readonly pull?: boolean;
  readonly offline?: boolean;
}

/** What `build` and `plan` understand of a spec. */
export interface SpecOptions extends ImageOptions, PullOptions {
  readonly file: string;
  readonly secret?: ReadonlyMap<string, string>;
  readonly ignoreFile?: readonly IgnoreFile[];
  readonly refuseHostNetwork?: boolean;
}

/** What only a command that runs steps understands. */
export interface RunOptions extends SpecOptions {
  readonly memory?: number;
  readonly cpus?: number;
  readonly pids?: number;
  readonly timeout?: number;
  readonly silence?: number;
  readonly logSize?: number;
  readonly concurrency?: number;
  readonly progress: ProgressMode;
  readonly replay?: boolean;
}

export function storeOptions(): Option[] {
  return [
    new Option(
      '--store <STORE>',
      'rsync:PATH, btrfs:PATH, overlayfs:PATH or zfs:POOL/DATASET (default: rsync below the XDG state directory)',
    )
      .env('SNAPSTEP_STORE')
      .argParser(parseStore),
    new Option(
      '--adopt',
      'use a store and a state that do not belong together; what only one of them knows is deleted',
    ),
    new Option('--sandbox <KIND>', 'runc or macos (default: macos on a Mac, else runc)')
      .env('SNAPSTEP_SANDBOX')
      .choices(SANDBOXES),
    new Option(
      '--macos-user <NAME:UID:GID>',
      'a local user that runs steps on a Mac, and nobody’s account: all that runs as it is ended after a step. Made if ' +
        'it is not there. May be repeated',
    )
      .env('SNAPSTEP_MACOS_USER')
      .argParser(parseMacosUsers),
    new Option(
      '--homebrew-prefix <PATH>',
      'where a step on a Mac finds its own Homebrew, such as /opt/homebrew',
    )
      .env('SNAPSTEP_HOMEBREW_PREFIX')
      .argParser(parseAbsolutePath),
  ];
}

export function imageOptions(): Option[] {
  return [
    new Option('--image <NAME=REF>', 'what (from NAME) means here; may be repeated').argParser(pairs('=')),
    new Option(
      '--insecure-registry <HOST>',
      'speak plain HTTP to this registry, such as 127.0.0.1:5000; may be repeated',
    ).argParser(hosts),
    new Option('--runtime <PROGRAM>', 'the OCI runtime (default: crun if it is there, else runc)').argParser(
      parseText,
    ),
    new Option('--fast-sync', 'let fsync and its like succeed without waiting for the disk'),
    new Option(
      '--allow <WHAT>',
      'open to steps what is closed: user-namespaces (bubblewrap, as opam uses it) or io-uring. Each brings them closer to ' +
        'the kernel; may be repeated',
    ).argParser(allowances),
    ...storeOptions(),
  ];
}

export function fileOption(): Option {
  return new Option('-f, --file <FILE>', 'the spec; - is standard input');
}

export function pullOptions(): Option[] {
  return [
    new Option(
      '--pull',
      'ask the registries what names mean now, and fail where none answers (default: what a name meant last will do)',
    ).conflicts('offline'),
    new Option('--offline', 'ask no registry: images mean what they meant last, and must be here'),
  ];
}

/** What may be asked of registries. */
export function pullPolicy({ pull, offline }: PullOptions): PullPolicy {
  if (offline) return 'never';
  return pull ? 'always' : 'auto';
}

export function specOptions(): Option[] {
  return [
    fileOption().makeOptionMandatory(),
    new Option('--secret <ID:FILE>', 'the file that holds a secret; may be repeated').argParser(pairs(':')),
    new Option(
      '--ignore-file <NAME>',
      'leave out of the context what its .dockerignore or its .gitignore files say; may be repeated',
    ).argParser(ignoreFiles),
    new Option('--refuse-host-network', 'refuse a spec in which a step has (network host)'),
    ...pullOptions(),
    ...imageOptions(),
  ];
}

export function runOptions(): Option[] {
  return [
    ...specOptions(),
    new Option(
      '--memory <SIZE>',
      'memory of each step, such as 2G (1024³ bytes) or 512M, or none (default: three quarters of this machine’s)',
    ).argParser(orNone(parseMemory)),
    new Option('--cpus <NUMBER>', 'processors of each step, such as 1.5').argParser(parseCpus),
    new Option('--pids <NUMBER>', 'processes and threads of each step, or none (default: 4096)').argParser(
      orNone(parsePids),
    ),
    new Option('--timeout <TIME>', 'end a step that takes longer, such as 10m').argParser(parseDuration),
    new Option('--silence <TIME>', 'end a step that prints nothing for so long, such as 5m').argParser(
      parseDuration,
    ),
    new Option(
      '--log-size <SIZE>',
      'how much to keep of what a step prints, half of it from the beginning and half from the end (default: 32M)',
    ).argParser(parseMemory),
    new Option('--concurrency <NUMBER>', 'how many steps may run at once').argParser(parseCount),
    new Option('--progress <MODE>', 'how to show the progress on standard error')
      .choices(['auto', 'plain', 'json'])
      .default('auto'),
    new Option('--replay', 'show the saved logs of cached steps too'),
  ];
}
