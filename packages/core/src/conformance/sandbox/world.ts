import { lstat, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { keeps, keepsEqual } from '../promise.ts';
import { mounted } from '../store/scene.ts';
import { sandboxPromises as promises } from './promises.ts';
import { type SandboxTest, UP } from './scene.ts';

export interface EnvironmentOptions {
  /** Variables that commands have although nobody asked for them, against the contract. Say why where you name one. */
  readonly addsToEnvironment?: readonly string[];
}

/** What a command finds: its environment, its user, its directory. */
export function worldTests(test: SandboxTest, { addsToEnvironment = [] }: EnvironmentOptions): void {
  test('gives exactly the environment that it was given (R14)', async (scene) => {
    const odd = {
      EMPTY: '',
      BLANKS: '  a  b ',
      QUOTES: `'"\\`,
      EQUALS: 'a=b=c',
      UNICODE: 'größe',
      LC_ALL: 'C',
    };
    const env = { ...scene.env(), ...odd };
    const names = new Set(addsToEnvironment.filter((name) => !(name in env)));
    const lines = variablesIn(await scene.outputOf(['env'], { env }), names);
    const expected = Object.entries(env).map(([name, value]) => `${name}=${value}`);
    keepsEqual(promises.env, lines.toSorted(), expected.sort());
  });
  test('gives values with line ends and equals signs as they are', async (scene) => {
    const odd = { FIRST: 'one\nSECOND=no\n\n', SECOND: '=two==', THIRD: '\n', FOURTH: 'a=b\nc=d' };
    const env = { ...scene.env(), ...odd };
    const printed = await scene.outputOf(`printf '%s|' "$FIRST" "$SECOND" "$THIRD" "$FOURTH"`, { env });
    keepsEqual(promises.env, printed.split('|').slice(0, -1), Object.values(odd));
  });
  test('adds nothing to an environment that has nothing, and no PATH', async (scene) => {
    const program = (await scene.outputOf('command -v env')).trim();
    const seen = await scene.outputOf([program], { env: {} });
    keepsEqual(promises.env, variablesIn(seen, new Set(addsToEnvironment)), []);
  });
  test('runs as the user, with the groups that the volumes give to him', async (scene) => {
    for (const { uid, gid, groups = [], home } of scene.accounts) {
      const output = await scene.outputOf('id -u; id -g; id -G', {
        user: { uid, gid },
        env: scene.env(home),
      });
      const [user, group, all = ''] = output.split('\n');
      keepsEqual(promises.user, [user, group], [`${uid}`, `${gid}`]);
      const expected = [...new Set([gid, ...groups])].sort();
      const seen = [...new Set(all.trim().split(' ').map(Number))].sort();
      keepsEqual(promises.groups, seen, expected);
    }
  });
  test('gives the user what he makes', async (scene) => {
    for (const { uid, gid, home } of scene.accounts) {
      const volume = await scene.cache({ uid, gid });
      const target = `${scene.directory}/own`;
      const more = { user: { uid, gid }, env: scene.env(home), mounts: [{ volume, target }] };
      await scene.outputOf(`echo x >${target}/file`, more);
      const stats = await mounted(volume, (path) => lstat(join(path, 'file')));
      keepsEqual(promises.user, [stats.uid, stats.gid], [uid, gid]);
    }
  });
  test('makes the working directory, owned by root or the only user, where it does not exist (M14)', async (scene) => {
    const cwd = `${scene.directory}/made/for it`;
    const { uid, gid } = scene.accounts.at(-1) ?? scene.user;
    keepsEqual(promises.cwd, await scene.outputOf('pwd', { cwd, user: { uid, gid } }), `${cwd}\n`);
    await scene.look(cwd, async (path) => {
      const stats = await lstat(path);
      keeps(promises.cwd, stats.isDirectory(), 'no directory');
      const owner = [scene.cwdOwner.uid, scene.cwdOwner.gid];
      keepsEqual(promises.cwdOwner, [stats.uid, stats.gid], owner);
    });
    keepsEqual(promises.cwd, await scene.outputOf('pwd', { cwd }), `${cwd}\n`);
  });
  test('never leaves the volumes by a link in the working directory (C2)', async (scene) => {
    const outside = await mkdtemp(join(tmpdir(), 'snapstep-suite-'));
    try {
      await scene.outputOf(`mkdir -p ${scene.directory}; ln -s ${UP} ${scene.directory}/up`);
      await scene.run('touch here', { cwd: `${scene.directory}/up${outside}/escaped` });
      keepsEqual(promises.inside, await readdir(outside), []);
    } finally {
      await rm(outside, { recursive: true });
    }
  });
}

/** The lines that `env` printed, without some variables. */
function variablesIn(output: string, without: ReadonlySet<string>): readonly string[] {
  return output.split('\n').filter((line) => line !== '' && !without.has(line.replace(/=.*/, '')));
}
