import { readdir, readFile, statfs } from 'node:fs/promises';
import { keeps, keepsEqual } from '../promise.ts';
import { describeTree } from '../store/describe-tree.ts';
import { mounted } from '../store/scene.ts';
import { commandLinesWith, look, makeMark, pidsWith, started } from './processes.ts';
import { sandboxPromises as promises } from './promises.ts';
import { collect, describeRan, type SandboxScene, type SandboxTest } from './scene.ts';

const SECRET = 'sw0rdfish-4711';
const value: Uint8Array = Buffer.from(SECRET);

/** A secret is there for one command and its user, and nowhere else. */
export function secretTests(test: SandboxTest): void {
  test('gives a secret to the user of the command, to nobody else, and not for writing (S4)', async (scene) => {
    for (const { uid, gid, home } of scene.accounts) {
      const target = `${scene.directory}/deep/secret`;
      const place = scene.secretPlace(target);
      const script = `cat ${place}; echo; ls -lnL ${place}`;
      const more = { user: { uid, gid }, env: scene.env(home), secrets: [{ target, value }] };
      const promise = promises.secretOwn;
      const [text, listed = ''] = (await scene.outputOf(script, { ...more, promise })).split('\n');
      keepsEqual(promise, text, SECRET);
      keeps(promises.secretOwn, /^-r-{8}/.test(listed), listed);
      keepsEqual(promises.secretOwn, listed.split(/\s+/)[2], `${uid}`);
    }
  });
  test('does not let a command change or remove a secret', async (scene) => {
    const target = `${scene.directory}/secret`;
    const place = scene.secretPlace(target);
    for (const attempt of [`echo x >${place}`, `rm -f ${place}`, `mv ${place} ${place}2`]) {
      const ran = await scene.run(attempt, { secrets: [{ target, value }] });
      const succeeded =
        ran.result.isOk() && ran.result.value.type === 'exited' && ran.result.value.code === 0;
      keeps(promises.secretOwn, !succeeded, `${attempt}: ${describeRan(ran)}`);
    }
  });
  test('gives bytes of any kind and length, and several secrets at once', async (scene) => {
    const bytes = Buffer.from(Array.from({ length: 100_000 }, (_, i) => (i * 13) % 256));
    const secrets = [
      { target: `${scene.directory}/a`, value: bytes },
      { target: `${scene.directory}/b/c`, value: new Uint8Array() },
      { target: `${scene.elsewhere}-secret`, value },
    ];
    const [a, c, other] = secrets.map(({ target }) => scene.secretPlace(target));
    const output = await scene.outputOf(`cat ${a} | wc -c; cat ${c} | wc -c; cat ${other}`, { secrets });
    keepsEqual(
      promises.secretWhole,
      output.split('\n').map((line) => line.trim()),
      ['100000', '0', SECRET],
    );
    const log = collect();
    await scene.outputOf(`cat ${a}`, { secrets, output: log });
    keepsEqual(promises.secretWhole, Buffer.compare(log.bytes(), bytes), 0);
  });
  test('takes a secret away with the command, however it ends (S1)', async (scene) => {
    const before = await scene.tree();
    const secrets = secretsOf(scene);
    await scene.outputOf('true', { secrets });
    keepsEqual(promises.secretGone, await scene.tree(), before);
    await scene.run('exit 1', { secrets });
    keepsEqual(promises.secretGone, await scene.tree(), before);
    await abortOnOutput(scene, 'echo go; sleep 4212', { secrets });
    keepsEqual(promises.secretGone, await scene.tree(), before);
    const place = scene.secretPlace(`${scene.directory}/secret`);
    const gone = await scene.outputOf(`ls ${place} 2>/dev/null || echo gone`);
    keepsEqual(promises.secretGone, gone, 'gone\n');
  });
  test('hides a file at the target of a secret, and gives it back unharmed', async (scene) => {
    const target = `${scene.directory}/file`;
    await scene.outputOf(`mkdir -p ${scene.directory}; echo old >${target}`);
    const before = await scene.tree();
    keepsEqual(
      promises.hidden,
      await scene.outputOf(`cat ${scene.secretPlace(target)}`, { secrets: [{ target, value }] }),
      SECRET,
    );
    keepsEqual(promises.hidden, await scene.tree(), before);
  });
  test('leaves no trace of a secret in a cache that it lies in', async (scene) => {
    const volume = await scene.cache();
    const before = await mounted(volume, describeTree);
    const target = `${scene.directory}/cache`;
    const secrets = [{ target: `${target}/secret`, value }];
    const place = scene.secretPlace(`${target}/secret`);
    keepsEqual(
      promises.nested,
      await scene.outputOf(`cat ${place}`, { secrets, mounts: [{ volume, target }] }),
      SECRET,
    );
    keepsEqual(promises.secretGone, await mounted(volume, describeTree), before);
  });
  test('keeps a secret on no disk (where the host sees the files of a command)', async (scene) => {
    const [mark, target] = [makeMark(), `${scene.directory}/secret`];
    const types: number[] = [];
    const write = async () => {
      for (const pid of await pidsWith(`sleep ${mark}`)) {
        const found = await statfs(`/proc/${pid}/root${target}`).catch(() => undefined);
        if (found !== undefined) types.push(found.type);
      }
    };
    const script = `${started(`sleep ${mark} &`)}; ${look()}`;
    await scene.outputOf(script, { secrets: [{ target, value }], output: { write } });
    const disks = types.filter((type) => !IN_MEMORY.includes(type)).map((type) => type.toString(16));
    keepsEqual(promises.secretKept, { types: disks }, { types: [] });
  });
  test('shows a secret in no list of processes and in no environment', async (scene) => {
    const seen: string[] = [];
    const write = async () => {
      seen.push(...(await commandLinesWith(SECRET)));
      seen.push(...(await environmentsWith(SECRET)));
    };
    await scene.outputOf('echo look; sleep 1', { secrets: secretsOf(scene), output: { write } });
    keepsEqual(promises.secretKept, seen, []);
  });
}

/** What statfs(2) says of tmpfs and ramfs. */
const IN_MEMORY: readonly number[] = [0x01021994, 0x858458f6];

function secretsOf(scene: SandboxScene): readonly { readonly target: string; readonly value: Uint8Array }[] {
  return [`${scene.directory}/secret`, `${scene.directory}/in/a/directory`, `${scene.elsewhere}-secret`].map(
    (target) => ({ target, value }),
  );
}

async function abortOnOutput(
  scene: SandboxScene,
  script: string,
  more: { readonly secrets: ReturnType<typeof secretsOf> },
): Promise<void> {
  const controller = new AbortController();
  const output = { write: async () => controller.abort('enough') };
  await scene.run(script, { ...more, output, signal: controller.signal });
}

/** The environments of the host's processes; none where the kernel does not tell. */
async function environmentsWith(text: string): Promise<readonly string[]> {
  if (process.platform !== 'linux') return [];
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const all = pids.map((pid) => readFile(`/proc/${pid}/environ`, 'latin1').catch(() => ''));
  return (await Promise.all(all)).filter((environment) => environment.includes(text));
}
