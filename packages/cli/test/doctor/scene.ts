import type { Answer, Scene } from '../../src/doctor/scene.ts';
import { parseStore, stateDirectories } from '../../src/store-location.ts';

/** A machine that exists only as what its programs printed. What is not recorded is not installed. */
export interface RecordedMachine {
  readonly platform?: NodeJS.Platform;
  readonly store?: string;
  readonly sandbox?: Scene['sandbox'];
  readonly users?: Scene['users'];
  readonly homebrewPrefix?: string;
  readonly path?: string;
  /** Standard output by command line; a number is the exit code of a command that failed. */
  readonly said?: Readonly<Record<string, string | number>>;
  readonly files?: Readonly<Record<string, string>>;
}

export function recordedScene(machine: RecordedMachine): Scene {
  const store = parseStore(machine.store ?? 'zfs:tank/snapstep');
  const said = machine.said ?? {};
  const programs = new Set(Object.keys(said).map((command) => command.split(' ')[0]));
  return {
    platform: machine.platform ?? 'darwin',
    store,
    state: stateDirectories(store),
    sandbox: machine.sandbox ?? 'macos',
    runtime: undefined,
    users: machine.users ?? [],
    homebrewPrefix: machine.homebrewPrefix,
    path: machine.path ?? '/usr/bin:/bin',
    ask: async (program, args) => answer(said[[program, ...args].join(' ')]),
    find: (program) => (programs.has(program) ? `/usr/bin/${program}` : undefined),
    read: async (file) => machine.files?.[file],
  };
}

function answer(text: string | number | undefined): Answer | undefined {
  if (text === undefined) return undefined;
  if (typeof text === 'number') return { exitCode: text, stdout: '', stderr: `it failed with ${text}` };
  return { exitCode: 0, stdout: text, stderr: '' };
}
