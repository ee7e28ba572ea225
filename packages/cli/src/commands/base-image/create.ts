import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { type BaseImageError, type BaseImages, err, ok, type Result, type UserRef } from '@snapstep/core';
import { type Command, Option } from 'commander';
import { perform } from '../../action.ts';
import { buildFailure } from '../../build-failure.ts';
import { EXIT, type Failure, machineFailure, usageFailure } from '../../failure.ts';
import { type ImageOptions, imageOptions, type PullOptions, pullOptions, pullPolicy } from '../../options.ts';
import { writeErr, writeOut } from '../../output.ts';
import { pairs } from '../../parse-values.ts';
import { shownLines } from '../../progress/shown-lines.ts';
import { defaultSandbox } from '../../sandbox-name.ts';
import { shellOf } from '../../script-shell.ts';
import { parseUser } from '../../user-ref.ts';
import { define } from '../define.ts';
import { withBaseImages } from './with-base-images.ts';

interface Options extends ImageOptions, PullOptions {
  readonly script: string;
  readonly user?: UserRef;
  readonly from?: string;
  readonly env?: ReadonlyMap<string, string>;
}

export function createImageCommand(): Command {
  return define('create', {
    description:
      'Make a base image: run a script, with the network, in fresh volumes and keep what it leaves. On a Mac these are ' +
      'an empty home directory, in which it starts, and an empty Homebrew. Prints the digest. Done again, it replaces ' +
      'the image at once, and what is built from it gets new keys; a script that fails changes nothing.',
    arguments: [['<NAME>', 'what (from NAME) finds']],
    options: [
      new Option('--script <FILE>', 'a script of sh, bash or zsh; - is standard input').makeOptionMandatory(),
      new Option(
        '--user <USER>',
        'NAME or UID:GID that runs it (default: the first --macos-user, else root)',
      ).argParser(parseUser),
      new Option(
        '--from <IMAGE>',
        'start from this image of a registry; a container needs one, since a fresh volume has no shell',
      ),
      new Option('--env <NAME=VALUE>', 'a variable for the script; may be repeated').argParser(pairs('=')),
      ...pullOptions(),
      ...imageOptions(),
    ],
    examples: [
      'snapstep base-image create macos-ocaml --script setup.sh --macos-user mac1000:1000:20',
      'snapstep base-image create macos-ocaml --script setup.sh --env OCAML=5.4.0 --store zfs:tank/snapstep',
      'snapstep base-image create debian-c --from debian:12 --script apt.sh --store zfs:tank/snapstep',
    ],
  }).action((name: string, options: Options) => perform((signal) => create({ name, options, signal })));
}

interface Work {
  readonly name: string;
  readonly options: Options;
  readonly signal: AbortSignal;
}

async function create(work: Work): Promise<Result<void, Failure>> {
  const script = await readScript(work.options.script);
  if (script.isErr()) return err(script.error);
  const shell = shellOf(script.value);
  if (shell.isErr()) return err(shell.error);
  const digest = await withBaseImages(work.options, (images) =>
    make(images, { ...work, command: script.value, ...(shell.value && { shell: shell.value }) }),
  );
  if (digest.isErr()) return err(digest.error);
  await writeOut(`${digest.value}\n`);
  return ok();
}

async function make(
  images: BaseImages,
  work: Work & { readonly command: string; readonly shell?: readonly [string, ...string[]] },
): Promise<Result<string, Failure>> {
  const { from, env } = work.options;
  const isMacos = (work.options.sandbox ?? defaultSandbox()) === 'macos';
  const user = work.options.user ?? (isMacos ? work.options.macosUser?.[0] : undefined);
  const output = shownLines(writeErr);
  const made = await images.make({
    name: work.name,
    command: work.command,
    signal: work.signal,
    output,
    pull: pullPolicy(work.options),
    ...(work.shell && { shell: work.shell }),
    ...(user && { user: 'uid' in user ? { uid: user.uid, gid: user.gid } : user }),
    ...(env && { env: Object.fromEntries(env) }),
    ...(from === undefined ? {} : { from }),
  });
  await output.end();
  return made.isErr() ? err(makeFailure(made.error)) : ok(made.value.digest);
}

async function readScript(file: string): Promise<Result<string, Failure>> {
  try {
    return ok(file === '-' ? await text(process.stdin) : await readFile(file, 'utf8'));
  } catch (error) {
    return err(
      usageFailure(`cannot read the script ${file}: ${error instanceof Error ? error.message : error}`),
    );
  }
}

function makeFailure(error: BaseImageError): Failure {
  switch (error.type) {
    case 'command-failed':
      return {
        exitCode: EXIT.stepFailed,
        message: `the script failed, and nothing of it is kept: ${error.message}`,
      };
    case 'unknown-user':
      return usageFailure(error.message);
    case 'cancelled':
      return machineFailure('stopped');
    default:
      return buildFailure(error, { source: { file: 'base-image', text: '' }, tailOf: () => [] });
  }
}
