import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tempDir } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { compiler } from '../../src/doctor/checks/macos/compiler.ts';
import { desktop } from '../../src/doctor/checks/macos/desktop.ts';
import { fseventsd, withoutNoLog } from '../../src/doctor/checks/macos/fseventsd.ts';
import { lookAt } from '../../src/doctor/checks/macos/full-disk-access.ts';
import { hiddenTools } from '../../src/doctor/checks/macos/hidden-tools.ts';
import { macfuse } from '../../src/doctor/checks/macos/macfuse.ts';
import { parseSip, sip } from '../../src/doctor/checks/macos/sip.ts';
import { isIndexed, spotlight } from '../../src/doctor/checks/macos/spotlight.ts';
import { state } from '../../src/doctor/checks/macos/state.ts';
import { parseRecord, users } from '../../src/doctor/checks/macos/users.ts';
import { mountCount } from '../../src/doctor/checks/mounts.ts';
import { CHECKS } from '../../src/doctor/checks.ts';
import { examine } from '../../src/doctor/examine.ts';
import { withoutCovered } from '../../src/macos-places.ts';
import { recordedScene } from './scene.ts';

// What the programs of a Mac print, after their manual pages and published transcripts. Nothing of it was recorded on
// a Mac of ours; docs/macos.md says so.

const LIST = 'zfs list -Hp -o mounted,mountpoint -r -t filesystem tank';
const MOUNTED = 'yes\t/Volumes/tank\nno\t/Volumes/tank/snapstep/result\nyes\t/Users/mac1000\nyes\tnone\n';

describe('Spotlight (M5)', () => {
  // mdutil(1): the volume with a colon, then its state on a line of its own.
  const off = (path: string) => `${path}:\n\tIndexing disabled.\n`;
  const on = (path: string) => `${path}:\n\tIndexing enabled. \n`;

  it('is looked for on what is mounted of the pool', async () => {
    const said = {
      [LIST]: MOUNTED,
      'mdutil -s /Volumes/tank': off('/Volumes/tank'),
      'mdutil -s /Users/mac1000': on('/Users/mac1000'),
    };
    expect(await spotlight.look(recordedScene({ said }))).toEqual({
      state: 'warning',
      found: 'Spotlight indexes /Users/mac1000',
      mend: 'sudo mdutil -i off /Users/mac1000',
    });
    const quiet = { ...said, 'mdutil -s /Users/mac1000': off('/Users/mac1000') };
    expect(await spotlight.look(recordedScene({ said: quiet }))).toMatchObject({ state: 'ok' });
  });

  it('is not taken for on by what mdutil says of a volume it does not know', () => {
    expect(isIndexed('/Volumes/tank:\n\tError: unknown indexing state.\n')).toBe(false);
    expect(isIndexed('/Volumes/tank:\n\tIndexing and searching disabled.\n')).toBe(false);
  });
});

describe('fseventsd (M5)', () => {
  it('logs volumes without a no_log', async () => {
    await using dir = await tempDir();
    const [logged, quiet] = [join(dir.path, 'logged'), join(dir.path, 'quiet')];
    await mkdir(logged);
    await mkdir(join(quiet, '.fseventsd'), { recursive: true });
    await writeFile(join(quiet, '.fseventsd/no_log'), '');
    expect(withoutNoLog([logged, quiet])).toEqual([logged]);
    const scene = recordedScene({ said: { [LIST]: `yes\t${logged}\nyes\t${quiet}\n` } });
    expect(await fseventsd.look(scene)).toMatchObject({
      state: 'warning',
      found: `fseventsd logs ${logged}`,
      mend: expect.stringContaining(`touch ${logged}/.fseventsd/no_log`),
    });
  });
});

describe('the kernel extension', () => {
  // kextstat(8): index, references, address, size, wired, architecture, then name and version.
  const kext =
    '  158    1 0xfffffe0007d3c000 0x3b8000   0x3b8000   org.openzfsonosx.zfs (2.2.3) 5F2A <9 6 5 3 1>\n';
  const apple = '    1  164 0                  0          0          com.apple.kpi.bsd (23.4.0) 41D0 <>\n';

  it('has to be loaded, whatever SIP is', async () => {
    const status = { 'csrutil status': 'System Integrity Protection status: enabled.\n' };
    const loaded = recordedScene({ said: { ...status, 'kextstat -l': apple + kext } });
    expect(await sip.look(loaded)).toMatchObject({ state: 'ok' });
    const absent = recordedScene({ said: { ...status, 'kextstat -l': apple } });
    expect(await sip.look(absent)).toMatchObject({
      state: 'problem',
      found: 'System Integrity Protection is enabled, and the kernel extension of OpenZFS is not loaded',
    });
  });

  it('is not confused by a custom configuration of SIP', () => {
    const text =
      'System Integrity Protection status: unknown (Custom Configuration).\n\nConfiguration:\n\tKext Signing: disabled\n';
    expect(parseSip(text)).toBe('unknown (Custom Configuration)');
    expect(parseSip('System Integrity Protection status: disabled.\n')).toBe('disabled');
  });

  it('of macFUSE is one too many (M6)', async () => {
    const fuse =
      '  160    0 0xfffffe0007 0x1000 0x1000     io.macfuse.filesystems.macfuse.23 (2128.20) 11 <7 6>\n';
    expect(await macfuse.look(recordedScene({ said: { 'kextstat -l': apple } }))).toMatchObject({
      state: 'ok',
    });
    expect(await macfuse.look(recordedScene({ said: { 'kextstat -l': apple + fuse } }))).toMatchObject({
      state: 'warning',
      found: 'macFUSE is loaded, and nothing here needs it',
    });
  });
});

describe('full disk access (M7)', () => {
  it('is there if what it protects can be read', async () => {
    await using dir = await tempDir();
    await writeFile(join(dir.path, 'TCC.db'), '');
    expect(await lookAt(join(dir.path, 'TCC.db'))).toMatchObject({ state: 'ok' });
    expect(await lookAt(join(dir.path, 'none'))).toMatchObject({
      state: 'warning',
      found: expect.stringContaining('(ENOENT)'),
    });
  });
});

describe('tools below a path that is mounted over (M4)', () => {
  // otool(1) -L: the file, then each library with its versions.
  const libraries =
    '/usr/bin/zfs:\n\t/usr/local/zfs/lib/libzfs.4.dylib (compatibility version 6.0.0, current version 6.0.0)\n' +
    '\t/usr/lib/libSystem.B.dylib (compatibility version 1.0.0, current version 1345.100.2)\n';
  const said = { 'otool -L /usr/bin/zfs': libraries, 'zfs version': '' };
  const machine = { said, users: [{ name: 'mac1000', uid: 1000, gid: 1000 }] };

  it('are named, with their libraries', async () => {
    const hidden = await hiddenTools.look(recordedScene({ ...machine, homebrewPrefix: '/usr/local' }));
    expect(hidden.state).toBe('problem');
    expect(hidden.found).toContain('/usr/local/zfs/lib/libzfs.4.dylib');
  });

  it('are looked for without what a step installs', async () => {
    const path = '/opt/homebrew/bin:/usr/bin:/Users/mac1000/.local/bin';
    const scene = recordedScene({ ...machine, path, homebrewPrefix: '/opt/homebrew' });
    expect(await hiddenTools.look(scene)).toMatchObject({
      state: 'warning',
      found:
        'the PATH has /opt/homebrew/bin, /Users/mac1000/.local/bin, where root would run what a step has put there',
    });
    expect(withoutCovered(path, ['/opt/homebrew', '/Users/mac1000'])).toBe('/usr/bin');
    expect(withoutCovered('/OPT/Homebrew/sbin:/opt/homebrew2/bin', ['/opt/homebrew'])).toBe(
      '/opt/homebrew2/bin',
    );
  });

  it('are none where Homebrew is elsewhere', async () => {
    const elsewhere = await hiddenTools.look(recordedScene({ ...machine, homebrewPrefix: '/opt/homebrew' }));
    expect(elsewhere).toEqual({
      state: 'ok',
      found: 'nothing that is needed lies below /opt/homebrew, /Users/mac1000',
    });
  });
});

describe('the users of the pool (M11)', () => {
  // dscl(1): a value with blanks comes on the next line, after a blank.
  const record =
    'NFSHomeDirectory: /Users/mac1000\nPrimaryGroupID: 20\nRealName:\n Mac Builder\nUniqueID: 1000\n';
  const said = {
    'dscl . -read /Users/mac1000 UniqueID PrimaryGroupID NFSHomeDirectory AuthenticationAuthority': record,
  };

  it('must have the numbers that the files of base images have', async () => {
    const machine = (gid: number) => recordedScene({ said, users: [{ name: 'mac1000', uid: 1000, gid }] });
    expect(await users.look(machine(20))).toEqual({ state: 'ok', found: 'mac1000 (1000:20)' });
    expect(await users.look(machine(1000))).toMatchObject({
      state: 'problem',
      found: 'the user mac1000 has PrimaryGroupID 20, and not what --macos-user says',
      mend: expect.stringMatching(/^say what it has; or, if no base image/),
    });
  });

  it('must be nobody’s account, nor have the number of one', async () => {
    const [command = ''] = Object.keys(said);
    const login = 'AuthenticationAuthority:\n ;ShadowHash;HASHLIST:<SALTED-SHA512-PBKDF2> ;Kerberosv5;;joe\n';
    const person = { [command]: `${login}${record}` };
    const mac1000 = [{ name: 'mac1000', uid: 1000, gid: 20 }];
    expect(await users.look(recordedScene({ said: person, users: mac1000 }))).toMatchObject({
      state: 'problem',
      found: 'the user mac1000 has a password: all that runs as a person would be ended',
      mend: expect.not.stringContaining('-delete'),
    });
    const search = { 'dscl . -search /Users UniqueID 1000': 'joe\t\tUniqueID = (\n    1000\n)\n' };
    expect(await users.look(recordedScene({ said: { ...said, ...search }, users: mac1000 }))).toMatchObject({
      state: 'problem',
      found: 'joe has the number 1000, which is to be that of mac1000',
    });
    const system = [{ name: 'mac441', uid: 441, gid: 20 }];
    expect(await users.look(recordedScene({ said, users: system }))).toMatchObject({ state: 'problem' });
  });

  it('need not be there yet', async () => {
    const none = {
      'dscl . -read /Users/mac1000 UniqueID PrimaryGroupID NFSHomeDirectory AuthenticationAuthority': 56,
    };
    const scene = recordedScene({ said: none, users: [{ name: 'mac1000', uid: 1000, gid: 20 }] });
    expect(await users.look(scene)).toMatchObject({ state: 'ok' });
  });

  it('are a problem where none is named', async () => {
    expect(await users.look(recordedScene({}))).toMatchObject({ state: 'problem' });
  });

  it('are read with values on the next line', () => {
    expect(parseRecord(record).get('UniqueID')).toBe('1000');
  });
});

describe('the state of the sandbox', () => {
  it('must be where the users of steps can reach it', async () => {
    await using dir = await tempDir();
    const scene = recordedScene({ store: `rsync:${join(dir.path, 'store')}` });
    await chmod(dir.path, 0o700);
    expect(await state.look(scene)).toMatchObject({
      state: 'problem',
      found: `the users of steps cannot pass through ${dir.path} to ${dir.path}/store/sandbox`,
    });
    await chmod(dir.path, 0o711);
    expect(await state.look(scene)).toMatchObject({ state: 'ok' });
  });
});

describe('the rest of a Mac', () => {
  it('is a desktop session that keeps volumes busy (M5)', async () => {
    const finder = '/System/Library/CoreServices/Finder.app/Contents/MacOS/Finder';
    const processes = `/sbin/launchd\n${finder}\n/usr/sbin/spindump\n`;
    expect(await desktop.look(recordedScene({ said: { 'ps -axo comm=': processes } }))).toEqual({
      state: 'warning',
      found: 'Finder, spindump run: they keep volumes busy',
      mend: 'log out of the desktop, and stay at the login window; sudo launchctl disable system/com.apple.spindump',
    });
    const quiet = recordedScene({ said: { 'ps -axo comm=': '/sbin/launchd\n' } });
    expect(await desktop.look(quiet)).toMatchObject({ state: 'ok' });
  });

  it('is a compiler that finds the headers of this macOS, and not of the one before (M9)', async () => {
    expect(await compiler.look(recordedScene({}))).toMatchObject({
      state: 'problem',
      mend: 'xcode-select --install',
    });
    const installed = { 'xcode-select -p': '/Library/Developer/CommandLineTools\n' };
    const trial = 'clang++ -x c++ -fsyntax-only -include vector /dev/null';
    const works = recordedScene({ said: { ...installed, [trial]: '' } });
    expect(await compiler.look(works)).toEqual({ state: 'ok', found: 'it compiles C++' });
    const fails = recordedScene({ said: { ...installed, [trial]: 1 } });
    expect(await compiler.look(fails)).toMatchObject({
      state: 'problem',
      found: 'C++ does not compile: it failed with 1',
    });
  });

  it('is the number of mounts (Z8)', async () => {
    const line = (at: number) => `tank/a${at} on /Volumes/tank/a (${at}) (zfs, local, noatime)\n`;
    const lines = (count: number) => Array.from({ length: count }, (_, at) => line(at)).join('');
    expect(await mountCount.look(recordedScene({ said: { mount: lines(999) } }))).toMatchObject({
      state: 'ok',
      found: '999 mounts on this machine',
    });
    expect(await mountCount.look(recordedScene({ said: { mount: lines(1000) } }))).toMatchObject({
      state: 'warning',
    });
  });
});

it('each check has a name of its own, and says nothing but "not applicable" of a platform it does not know', async () => {
  expect(new Set(CHECKS.map(({ name }) => name)).size).toBe(CHECKS.length);
  const linux = recordedScene({ platform: 'linux', sandbox: 'runc', store: 'rsync:/nowhere' });
  for (const check of [sip, spotlight, fseventsd, desktop, macfuse, compiler]) {
    expect(await check.look(linux)).toEqual({ state: 'not-applicable', found: 'this is linux' });
  }
});

it('a check that fails is a problem, and the others go on', async () => {
  const broken = {
    name: 'broken',
    look: () => {
      throw new Error('"zpool list" did not answer\n  within 10 seconds\n');
    },
  };
  const found = [];
  for await (const examined of examine([broken, compiler], recordedScene({}))) found.push(examined);
  expect(found).toMatchObject([
    {
      name: 'broken',
      state: 'problem',
      found: 'it cannot be found out: "zpool list" did not answer; within 10 seconds',
    },
    { name: 'compiler' },
  ]);
});
