import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { busyboxRootfs, needs, tempDir } from '@snapstep/test-support';
import { execa } from 'execa';
import { beforeAll, expect, it } from 'vitest';
import { MAIN } from './support.ts';

const ENTER = fileURLToPath(new URL('../../store-zfs/test/zfs-fuse/enter.sh', import.meta.url));
const NAMESPACES = ['--mount', '--pid', '--fork', '--kill-child', '--mount-proc', '--propagation', 'slave'];

/** Each line that starts with a name and a colon says under which name the output of its command is kept. */
const COMMANDS = `
create1: create --env ROUND=1
build1: snapstep build -f use.spec --progress plain
create2: create --env ROUND=2
build2: snapstep build -f use.spec --progress plain
bad: create --env ROUND=bad
stopped: create --env ROUND=wait & sleep_until_waiting; kill -INT $!; wait $!
ls: snapstep base-image ls
old: snapstep export "$(head -n 1 out/build1)" old.tar && tar -xOf old.tar ./made
doctor: snapstep doctor --json
export: snapstep base-image export tools tools.image
import: snapstep base-image import tools tools.image --store zfs:fuse/there
broken: head -c 3000 tools.image | snapstep base-image import broken --store zfs:fuse/there
build3: snapstep build -f use.spec --store zfs:fuse/there
busy: snapstep base-image rm tools --store zfs:fuse/there
prune: snapstep prune --store zfs:fuse/there
rm: snapstep base-image rm tools --store zfs:fuse/there
ls-there: snapstep base-image ls --json --store zfs:fuse/there
`;

needs(
  'root',
  'busybox',
  'runc',
  'zfs-fuse',
)('snapstep base-image in containers, on a ZFS store', () => {
  const ended = new Map<string, { readonly code: number; readonly out: string; readonly err: string }>();

  beforeAll(async () => {
    await using dir = await tempDir();
    const rootfs = join(dir.path, 'rootfs');
    for (const name of ['rootfs', 'out']) await mkdir(join(dir.path, name));
    await busyboxRootfs(rootfs, ['sh', 'cat', 'sleep']);
    await writeFile(
      join(dir.path, 'setup.sh'),
      '#!/bin/sh -e\necho filling $ROUND\necho made $ROUND > /made\n[ $ROUND != bad ]\n[ $ROUND != wait ] || sleep 1000\n',
    );
    await writeFile(
      join(dir.path, 'use.spec'),
      '((from tools) (shell /bin/sh -c) (run (shell "cat /made")))',
    );
    const lines = [...COMMANDS.matchAll(/^([\w-]+): (.*)$/gm)].map(
      ([, name, command]) => `{ ${command}\n} >out/${name} 2>out/${name}.err; echo "${name} $?"`,
    );
    const script = [
      `cd ${dir.path}; zfs create fuse/here; zfs create fuse/there`,
      `snapstep() { exec_node "$@"; }; exec_node() { ${process.execPath} ${MAIN} "$@"; }`,
      `create() { exec ${process.execPath} ${MAIN} base-image create tools --script setup.sh --from busybox --image busybox=rootfs:${rootfs} "$@"; }`,
      'sleep_until_waiting() { until grep -q "filling wait" out/stopped.err; do sleep 0.05; done; }',
      ...lines.map((line) => line.replace(/^\{ create ([^&]*)\n/, '{ (create $1)\n')),
      'for file in out/*; do printf "\\0%s\\0" "$file"; cat "$file"; done',
    ].join('\n');
    const env = { SNAPSTEP_STORE: 'zfs:fuse/here', XDG_STATE_HOME: join(dir.path, 'state') };
    const { stdout } = await execa('unshare', [...NAMESPACES, 'sh', ENTER, 'bash', '-c', script], { env });
    const [codes = '', ...files] = stdout.split('\0');
    const texts = new Map(
      files.flatMap((name, at) => (at % 2 === 0 ? [[name.slice(4), files[at + 1] ?? '']] : [])),
    );
    for (const [, name = '', code] of codes.matchAll(/^([\w-]+) (\d+)$/gm)) {
      ended.set(name, {
        code: Number(code),
        out: texts.get(name) ?? '',
        err: texts.get(`${name}.err`) ?? '',
      });
    }
  });
  const of = (name: string) => ended.get(name) ?? { code: Number.NaN, out: '', err: '' };

  it('create starts from an image, streams what the script prints, and gives other keys each time (M1)', () => {
    expect(of('create1')).toMatchObject({ code: 0, out: expect.stringMatching(/^sha256:[0-9a-f]{64}\n$/) });
    expect(of('create1').err).toMatch(/\nfilling 1\n$/);
    expect(of('build1').err).toContain('main 2/2 | made 1\n');
    expect(of('build2').err).toContain('main 2/2 | made 2\n');
    expect(of('create2').out).not.toBe(of('create1').out);
    expect(of('build2').out).not.toBe(of('build1').out);
    expect(of('old')).toEqual({ code: 0, out: 'made 1\n', err: '' });
  });

  it('a script that fails, or is stopped by a signal, leaves the image as it was', () => {
    expect(of('bad')).toMatchObject({ code: 1, out: '' });
    expect(of('bad').err).toContain(
      'the script failed, and nothing of it is kept: the command exited with 1\n',
    );
    expect(of('stopped')).toMatchObject({ code: 130, out: '' });
    expect(of('ls').out).toMatch(/^NAME +PLATFORM +DIGEST\ntools +linux\/\w+ +sha256:\w+\n$/);
    expect(of('ls').out).toContain(of('create2').out);
    const found = of('doctor')
      .out.trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    const left = found.filter(
      ({ name, state }) => /^zfs-(pool|leftovers|mounts|clones)$/.test(name) && state !== 'ok',
    );
    expect(left).toEqual([]);
  });

  it('import gives the digest of the export, and the same keys; half a stream gives nothing', () => {
    expect(of('export')).toEqual({ code: 0, out: '', err: '' });
    expect(of('import')).toEqual({ code: 0, out: of('create2').out, err: '' });
    expect(of('build3').out).toBe(of('build2').out);
    expect(of('broken')).toMatchObject({ code: 3, out: '' });
  });

  it('rm waits until no step needs the image', () => {
    expect(of('busy')).toMatchObject({ code: 3 });
    expect(of('rm')).toEqual({ code: 0, out: '', err: '' });
    expect(of('ls-there')).toEqual({ code: 0, out: '', err: '' });
  });
});
