import { appendFile, lstat, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { err } from 'neverthrow';
import { failed } from '../../backend/failures.ts';
import type { Owner } from '../../backend/names.ts';
import type { Account } from '../../backend/sandbox.ts';
import type { Volumes } from '../../backend/volume.ts';
import { keeps, keepsEqual } from '../promise.ts';
import { settled } from './outcomes.ts';
import { sandboxPromises as promises } from './promises.ts';
import type { SandboxScene, SandboxTest } from './scene.ts';

/** Who is who, and what lies where, in the step's world. */
export function accountTests(test: SandboxTest): void {
  test('knows the users of the volumes by name and by number', async (scene) => {
    for (const { name, uid, gid, home } of scene.accounts) {
      const byName = await accountOf(scene, { name });
      keepsEqual(promises.account, byName, { uid, gid, home });
      const byNumber = await accountOf(scene, { uid, gid });
      keepsEqual(promises.account, byNumber, { uid, gid, home });
    }
    expectUnmounted(scene);
  });
  test('knows no user of a name that the volumes do not have', async (scene) => {
    const found = await accountOf(scene, { name: 'no-such-user' });
    keepsEqual(promises.account, found, undefined);
    expectUnmounted(scene);
  });
  test('reads lists of users that are as odd as those of images', async (scene) => {
    if (!(await addTo(scene, '/etc/passwd', ODD_USERS))) return;
    for (const [name, expected] of Object.entries(oddUsers)) {
      const found = await accountOf(scene, { name });
      keepsEqual(promises.account, { name, ...idsOf(found) }, { name, ...idsOf(expected) });
    }
    const numbered = await accountOf(scene, { uid: 2005, gid: 2006 });
    keepsEqual(promises.account, numbered, { uid: 2005, gid: 2006, home: '/home/last' });
    if (!(await addTo(scene, '/etc/group', ODD_GROUPS))) return;
    const groups = await scene.outputOf('id -G', { user: { uid: 2005, gid: 2006 } });
    keepsEqual(promises.groups, groups.trim().split(' ').map(Number).sort(), [2006, 3001]);
  });
  test('says that it cannot look where a volume cannot be mounted', async (scene) => {
    const volumes = broken(await scene.volumes());
    const found = await settled(scene.sandbox.account({ name: scene.user.name }, volumes));
    keeps(promises.unmountable, found.isErr(), found);
    expectUnmounted(scene);
  });
  test('says in which volume, and where in it, a command keeps a file', async (scene) => {
    const file = `${scene.directory}/located`;
    const before = await scene.outputOf(`mkdir -p ${scene.directory}; echo text >${file}; cat ${file}`);
    keepsEqual(promises.possible, before, 'text\n');
    for (const path of [file, `${scene.directory}/x/../located`, `${scene.directory}//./located`]) {
      const text = await scene.look(path, (at) => readFile(at, 'utf8').catch((error) => `${error}`));
      keepsEqual(promises.locate, { path, text }, { path, text: 'text\n' });
    }
  });
  test('says where a file must be put that a command shall find', async (scene) => {
    for (const [index, place] of [scene.directory, scene.elsewhere, `${scene.user.home}/suite`].entries()) {
      const path = `${place}-located-${index}`;
      await scene.look(path, async (at) => {
        await mkdir(dirname(at), { recursive: true });
        await writeFile(at, path, { mode: 0o644 });
      });
      const promise = promises.locate;
      keepsEqual(promise, await scene.outputOf(`cat ${path}`, { promise }), path);
    }
  });
  test('locates nothing outside of its volumes', async ({ sandbox, directory }) => {
    for (const path of ['/..', `${directory}/../../../../etc`, '/../../etc/passwd', '/']) {
      const at = sandbox.locate(path);
      if (at === undefined) continue;
      keeps(promises.locateInside, sandbox.layout.includes(at.volume), at);
      keeps(promises.locateInside, !at.path.split('/').includes('..'), at);
    }
  });
  test('has all that the builder asks for before it runs anything', async ({ sandbox }) => {
    keeps(promises.described, sandbox.layout.length > 0, 'an empty `layout`');
    keeps(promises.described, sandbox.concurrency >= 1, { concurrency: sandbox.concurrency });
    keeps(
      promises.described,
      sandbox.defaultShell.every((word) => word !== ''),
      sandbox.defaultShell,
    );
    keeps(promises.described, sandbox.name !== '', 'an empty `name`');
  });
}

/** The last line has neither an end nor a shell. */
const ODD_USERS = `
# a comment
#hidden:x:2000:2000::/home/hidden:/bin/sh
no numbers
broken:x:abc:1::/b:/bin/sh
:x:2001:2001::/home/nobody:/bin/sh
twice:x:2002:2002::/home/first:/bin/sh
twice:x:2003:2003::/home/second:/bin/sh
lastly:x:2004:2004::/home/lastly:/bin/sh
last:x:2005:2006:Last, First:/home/last`;
const ODD_GROUPS = '\n# a comment\nlastly:x:3000:lastly\nodd:x:3001:lastly,last';

const oddUsers: Readonly<Record<string, Owner | undefined>> = {
  hidden: undefined,
  '# a comment': undefined,
  'no numbers': undefined,
  broken: undefined,
  las: undefined,
  'l.st': undefined,
  twice: { uid: 2002, gid: 2002 },
  lastly: { uid: 2004, gid: 2004 },
  last: { uid: 2005, gid: 2006 },
};

function idsOf(owner: Owner | undefined): Partial<Owner> {
  return owner === undefined ? {} : { uid: owner.uid, gid: owner.gid };
}

/** False where the volumes have no such plain file. */
async function addTo(scene: SandboxScene, file: string, text: string): Promise<boolean> {
  if (scene.sandbox.locate(file) === undefined) return false;
  return scene.look(file, async (path) => {
    const isPlain = await lstat(path).then(
      (stats) => stats.isFile(),
      () => false,
    );
    if (isPlain) await appendFile(path, text);
    return isPlain;
  });
}

async function accountOf(
  scene: SandboxScene,
  user: Owner | { readonly name: string },
): Promise<Account | undefined> {
  const found = await settled(scene.sandbox.account(user, await scene.volumes()));
  keeps(promises.account, found.isOk(), found);
  return found.value;
}

/** The same volumes, none of which can be mounted. */
export function broken(volumes: Volumes): Volumes {
  const mount = async () => err(failed('the disk is broken'));
  return new Map([...volumes.keys()].map((name) => [name, { name, mount }]));
}

function expectUnmounted(scene: SandboxScene): void {
  keepsEqual(promises.unmounted, { mounted: scene.mounted }, { mounted: 0 });
}
