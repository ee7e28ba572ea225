import { mkdir, mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { keeps, keepsEqual } from '../promise.ts';
import { describeTree } from '../store/describe-tree.ts';
import { sandboxPromises as promises } from './promises.ts';
import { describeRan, type SandboxScene, type SandboxTest } from './scene.ts';

/** Ways by which commands got out of other sandboxes. */
export function escapeTests(test: SandboxTest): void {
  // https://nvd.nist.gov/vuln/detail/CVE-2024-21626
  test('never runs in a directory that this process has open (C3)', async (scene) => {
    await using outside = await outsideDirectory();
    await using door = await open(outside.path);
    const numbers = [...new Set([door.fd, ...Array.from({ length: 12 }, (_, i) => i + 3)])];
    for (const number of numbers) {
      const ran = await scene.run('ls; ls ..; true', { cwd: `/proc/self/fd/${number}` });
      keeps(
        promises.inside,
        !ran.text.includes('deep') && !ran.text.includes('snapstep-suite-'),
        describeRan(ran),
      );
    }
  });
  // As above: the directory was open in the runtime, which handed it on.
  test('hands no open directory to a command (C3)', async (scene) => {
    await using outside = await outsideDirectory();
    await using _door = await open(outside.path);
    const script =
      'n=3; while [ $n -lt 64 ]; do [ -d /proc/self/fd/$n/. ] && echo $n; n=$((n+1)); done; true';
    keepsEqual(promises.inside, await scene.outputOf(script), '');
  });
  // What a kernel runs when a program crashes is a setting; so is who may make a control group.
  test("cannot change the kernel's settings, nor the host's control groups (R16, R22)", async (scene) => {
    // Each is written what it holds, so that a sandbox that lets it happen does no harm.
    const settings = ['kernel/core_pattern', 'kernel/modprobe', 'vm/swappiness', 'fs/pipe-max-size'];
    const files = [...settings.map((name) => `/proc/sys/${name}`), '/sys/kernel/uevent_helper'];
    const script = `for file in ${files.join(' ')}; do
        old=$(cat $file 2>/dev/null) && (echo "$old" >$file) 2>/dev/null && echo "wrote $file"
      done
      for at in /sys/fs/cgroup /sys/fs/cgroup/*; do
        mkdir $at/snapstep-suite 2>/dev/null && rmdir $at/snapstep-suite && echo "made a group in $at"
      done; true`;
    keepsEqual(promises.hostUnchanged, await scene.outputOf(script), '');
  });
  // https://nvd.nist.gov/vuln/detail/CVE-2024-23652
  test('takes nothing away through a link in the place of a mount point (C10)', async (scene) => {
    await using outside = await outsideDirectory();
    const before = await describeTree(outside.path);
    const { directory } = scene;
    await scene.run(`cd ${directory} && mv parent moved && ln -s ${outside.path} parent; true`, {
      mounts: [{ volume: await scene.cache(), target: `${directory}/parent/deep/cache` }],
      secrets: [{ target: `${directory}/parent/secret`, value: Buffer.from('sw0rdfish') }],
    });
    keepsEqual(promises.teardown, await describeTree(outside.path), before);
  });
  // https://nvd.nist.gov/vuln/detail/CVE-2024-23651
  test('never mounts on the host while another command swaps a directory for a link (C9)', async (scene) => {
    if (scene.sandbox.concurrency < 2) return;
    await using outside = await outsideDirectory();
    const before = await describeTree(outside.path);
    const [volume, inner] = [await scene.cache(), await scene.cache()];
    const target = `${scene.directory}/cache`;
    const swaps = `cd ${target}; while :; do mkdir x; rmdir x; ln -s ${outside.path} x; rm -f x; done 2>/dev/null`;
    const controller = new AbortController();
    const racer = scene.start(
      await scene.request(swaps, {
        volumes: await scene.freshVolumes(),
        mounts: [{ volume, target }],
        signal: controller.signal,
      }),
    );
    try {
      for (let round = 0; round < 12; round += 1) await mountInside(scene, { volume, inner, target });
    } finally {
      controller.abort('enough');
      await racer;
    }
    keepsEqual(promises.inside, await describeTree(outside.path), before);
  });
  // https://nvd.nist.gov/vuln/detail/CVE-2022-24769
  test('gives a command no capabilities that its programs inherit (R6)', async (scene) => {
    const look = 'case "$line" in CapInh*|CapAmb*) echo "$line";; esac';
    const script = `[ -r /proc/self/status ] || exit 0; while read -r line; do ${look}; done </proc/self/status`;
    const inherited = (await scene.outputOf(script)).split('\n').filter((line) => /[1-9a-f]$/.test(line));
    keepsEqual(promises.rights, inherited, []);
  });
}

/** A command with a cache in a cache, which may be refused. */
async function mountInside(
  scene: SandboxScene,
  {
    volume,
    inner,
    target,
  }: { readonly [name in 'volume' | 'inner']: CacheVolume } & { readonly target: string },
): Promise<void> {
  const mounts = [
    { volume, target },
    { volume: inner, target: `${target}/x/inner` },
  ];
  await scene.run(`touch ${target}/x/inner/made; true`, { mounts });
}

type CacheVolume = Awaited<ReturnType<SandboxScene['cache']>>;

/** A directory of the host, with `deep/cache/file` and `secret` in it. */
async function outsideDirectory(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'snapstep-suite-'));
  await mkdir(join(path, 'deep/cache'), { recursive: true });
  await writeFile(join(path, 'secret'), '');
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
