import { join } from 'node:path';
import { type CountingProxy, needs, type Registry, startProxy, startRegistry } from '@snapstep/test-support';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Workplace, workplace } from './support.ts';

needs(...(['root', 'busybox', 'rsync', 'skopeo', 'umoci', 'docker-registry'] as const))(
  'a build from an image of a registry',
  () => {
    let [registry, proxy, place]: [Registry, CountingProxy, Workplace] = [] as never;
    let args: readonly string[];
    beforeAll(async () => {
      registry = await startRegistry();
      proxy = await startProxy(registry.host);
      place = await workplace();
      const image = await makeImage(place.path);
      await registry.push(image, 'tiny:1');
      const spec = await place.spec('tiny.spec', '');
      const tiny = `busybox=docker://${proxy.host}/tiny:1`;
      args = ['-f', spec, '--image', tiny, '--insecure-registry', proxy.host, '--progress', 'plain'];
    });
    afterAll(async () => {
      await place?.[Symbol.asyncDispose]();
      await proxy?.[Symbol.asyncDispose]();
      await registry?.[Symbol.asyncDispose]();
    });

    it('asks nobody with --offline, which is a mistake while nothing is known', async () => {
      const failed = await place.snapstep(['build', ...args, '--offline']);
      expect(failed).toMatchObject({ exitCode: 2, stdout: '' });
      expect(failed.stderr).toMatch(
        /was never pinned here, and no registry may be asked: leave out --offline/,
      );
      expect(proxy.takeRequests()).toEqual([]);
    });

    it('goes on from what is saved, with a note, when the registry is gone; with --pull it fails', async () => {
      const built = await place.snapstep(['build', ...args]);
      expect(built).toMatchObject({ exitCode: 0 });
      const key = built.stdout;
      proxy.takeRequests();
      expect(await place.snapstep(['build', ...args])).toMatchObject({ exitCode: 0, stdout: key });
      expect(proxy.takeRequests()).toEqual(['HEAD /v2/tiny/manifests/1']);
      await using _gone = proxy.behave('refuse');
      const again = await place.snapstep(['build', ...args]);
      expect(again).toMatchObject({ exitCode: 0, stdout: key });
      expect(again.stderr).toMatch(
        /^"busybox": 127\.0\.0\.1:\d+ gives no answer \(.*\); using sha256:[0-9a-f]{64}, /,
      );
      const plan = await place.snapstep(['plan', ...args.slice(0, -2)]);
      expect(plan).toMatchObject({ exitCode: 0, stdout: expect.stringContaining(' saved ') });
      expect(plan.stderr).toMatch(/^snapstep: "busybox": .* gives no answer/);
      const pulled = await place.snapstep(['build', ...args, '--pull']);
      expect(pulled).toMatchObject({ exitCode: 3, stdout: '' });
      const offline = await place.snapstep(['build', ...args, '--offline']);
      expect(offline).toMatchObject({ exitCode: 0, stdout: key });
      expect(offline.stderr).not.toContain('gives no answer');
    });

    it('refuses --pull together with --offline', async () => {
      const failed = await place.snapstep(['plan', ...args.slice(0, -2), '--pull', '--offline']);
      expect(failed).toMatchObject({ exitCode: 2, stdout: '' });
      expect(failed.stderr).toContain("option '--pull' cannot be used with option '--offline'");
    });
  },
);

/** An image of one file. @returns Its name, in words of skopeo. */
async function makeImage(directory: string): Promise<string> {
  const layout = join(directory, 'layout');
  await execa('umoci', ['init', '--layout', layout]);
  await execa('umoci', ['new', '--image', `${layout}:v1`]);
  await execa('umoci', ['insert', '--image', `${layout}:v1`, '/etc/hostname', '/hello']);
  return `oci:${layout}:v1`;
}
