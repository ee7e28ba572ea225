import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { parse } from 'plist';
import { describe, expect, it } from 'vitest';
import { createProgram } from '../src/index.ts';
import { parseMacosUsers } from '../src/macos-user.ts';
import { shellOf } from '../src/script-shell.ts';
import { parseStore } from '../src/store-location.ts';

const file = (name: string) => fileURLToPath(new URL(`../../../examples/mac/${name}`, import.meta.url));
const read = (name: string) => readFile(file(name), 'utf8');

/** The keys of launchd.plist(5) that we use, and what each takes. */
const KEYS: Readonly<Record<string, (value: unknown) => boolean>> = {
  Label: (value) => value === 'org.snapstep.worker',
  ProgramArguments: (value) => Array.isArray(value) && value.every((arg) => `${arg}`.startsWith('/')),
  WorkingDirectory: isPath,
  EnvironmentVariables: (value) => Object.values(value as object).every((each) => typeof each === 'string'),
  RunAtLoad: (value) => value === true,
  KeepAlive: (value) => (value as { SuccessfulExit?: unknown }).SuccessfulExit === false,
  ThrottleInterval: (value) => Number(value) >= 10,
  ExitTimeOut: (value) => Number(value) >= 60,
  ProcessType: (value) => ['Background', 'Standard', 'Adaptive', 'Interactive'].includes(`${value}`),
  SoftResourceLimits: (value) => Number((value as { NumberOfFiles?: unknown }).NumberOfFiles) > 1024,
  StandardOutPath: isPath,
  StandardErrorPath: isPath,
};

function isPath(value: unknown): boolean {
  return typeof value === 'string' && value.startsWith('/');
}

describe('the property list for launchd', () => {
  it('is one, with keys that launchd knows, and values of their kinds', async () => {
    const list = parse(await read('org.snapstep.worker.plist')) as Readonly<Record<string, unknown>>;
    expect(Object.keys(list).toSorted()).toEqual(Object.keys(KEYS).toSorted());
    for (const [key, isRight] of Object.entries(KEYS)) expect(isRight(list[key]), key).toBe(true);
  });

  it('starts as root, so that there is nothing to do for sudo', async () => {
    const list = parse(await read('org.snapstep.worker.plist'));
    expect(list).not.toHaveProperty('UserName');
  });

  it('sets variables that the command line reads, to values that it takes', async () => {
    const list = parse(await read('org.snapstep.worker.plist')) as unknown as {
      readonly EnvironmentVariables: Readonly<Record<string, string>>;
    };
    const variables = list.EnvironmentVariables;
    const known = createProgram().commands.flatMap(({ options }) => options.map(({ envVar }) => envVar));
    for (const name of Object.keys(variables).filter((each) => each.startsWith('SNAPSTEP_'))) {
      expect(known).toContain(name);
    }
    expect(parseStore(variables.SNAPSTEP_STORE ?? '')).toEqual({ kind: 'zfs', dataset: 'tank/snapstep' });
    expect(parseMacosUsers(variables.SNAPSTEP_MACOS_USER ?? '')).toEqual([
      { name: 'mac1000', uid: 1000, gid: 20 },
    ]);
  });

  it('starts nothing from a place that a step mounts over (M4)', async () => {
    const list = parse(await read('org.snapstep.worker.plist')) as unknown as {
      readonly ProgramArguments: readonly string[];
      readonly EnvironmentVariables: Readonly<Record<string, string>>;
    };
    const { PATH = '', SNAPSTEP_HOMEBREW_PREFIX: prefix = '' } = list.EnvironmentVariables;
    expect(prefix).toMatch(/^\/./);
    const places = [...list.ProgramArguments, ...PATH.split(':')].map((place) => `${place}/`);
    const covered = places.filter((place) => [prefix, '/Users'].some((root) => place.startsWith(`${root}/`)));
    expect(covered).toEqual([]);
  });
});

describe('the script for a base image', () => {
  it('is a script that base-image create takes, and that a shell understands', async () => {
    const shell = shellOf(await read('base-image.sh'))._unsafeUnwrap();
    expect(shell).toEqual(['/usr/bin/env', 'bash', '-c']);
    const checked = await execa('bash', ['-n', file('base-image.sh')], { reject: false });
    expect(checked).toMatchObject({ exitCode: 0, stderr: '' });
  });
});

describe('a script', () => {
  it.each([
    ['#!/bin/sh\ntrue', ['/bin/sh', '-c']],
    ['#!/bin/bash -eu\ntrue', ['/bin/bash', '-eu', '-c']],
    ['#! /usr/bin/env zsh\n', ['/usr/bin/env', 'zsh', '-c']],
    ['true\n#!/usr/bin/python3\n', undefined],
    ['', undefined],
  ])('%j is given to %j', (script, shell) => {
    expect(shellOf(script)._unsafeUnwrap()).toEqual(shell);
  });

  it.each(['#!/usr/bin/python3\n', '#!/usr/bin/env node\n', '#!\n'])('%j is none of a shell', (script) => {
    expect(shellOf(script)._unsafeUnwrapErr()).toMatchObject({ exitCode: 2 });
  });

  it('that is too long for an argument is refused before anything is made', () => {
    expect(shellOf('a'.repeat(100 * 1024 + 1))._unsafeUnwrapErr().message).toContain(
      'longer than 102400 bytes',
    );
    expect(shellOf('a'.repeat(100 * 1024)).isOk()).toBe(true);
  });
});
