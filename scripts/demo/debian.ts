import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { host } from './host.ts';

export interface DebianOptions {
  /** Outlives the demo, so that the second one need not download again. */
  readonly cache: string;
  /** For temporary files. */
  readonly temp: string;
  readonly signal: AbortSignal;
}

/**
 * A minimal Debian of this machine's release, from this machine's mirrors, as an OCI layout.
 *
 * @returns A reference for the fetcher.
 */
export async function debianBaseImage(options: DebianOptions): Promise<string> {
  const { cache, temp, signal } = options;
  const release = await releaseName();
  const layout = join(cache, `debian-${release}-${process.arch}`);
  if (!(await exists(layout))) {
    const rootfs = join(temp, 'rootfs.tar');
    const input = await sourceList('deb', signal);
    const env = { TMPDIR: temp };
    await host('mmdebstrap', ['--quiet', '--variant=minbase', '--format=tar', release, rootfs, '-'], {
      input,
      env,
      signal,
    });
    const unfinished = join(temp, 'layout');
    await host('umoci', ['init', '--layout', unfinished], { signal });
    await host('umoci', ['new', '--image', `${unfinished}:latest`], { signal });
    await host('umoci', ['raw', 'add-layer', '--image', `${unfinished}:latest`, rootfs], { signal });
    await mkdir(cache, { recursive: true });
    await host('cp', ['-a', unfinished, `${layout}.new`], { signal });
    await rename(`${layout}.new`, layout);
    await rm(rootfs);
  }
  return `oci:${layout}:latest`;
}

/**
 * Downloads the sources of a Debian package and unpacks them, with Debian's patches. apt checks the archive's signature, and
 * with it the hash of every file. The machine's own list of sources stays as it is.
 *
 * @returns The directory with the sources.
 */
export async function debianSources(name: string, options: DebianOptions): Promise<string> {
  const { cache, temp, signal } = options;
  const archive = join(cache, `source-${name}-${await releaseName()}`);
  if (!(await exists(archive))) {
    const unfinished = join(temp, 'source');
    await download(name, unfinished, options);
    await mkdir(cache, { recursive: true });
    await host('cp', ['-a', unfinished, `${archive}.new`], { signal });
    await rename(`${archive}.new`, archive);
  }
  const description = (await readdir(archive)).find((file) => file.endsWith('.dsc'));
  if (description === undefined) throw new Error(`${archive} has no source package`);
  const into = join(temp, name);
  // apt has checked it; the key of the developer who signed it may not be on this machine.
  await host('dpkg-source', ['--no-check', '--extract', join(archive, description), into], { signal });
  return into;
}

/** With a list of sources, an index and a cache of our own. */
async function download(name: string, into: string, { temp, signal }: DebianOptions): Promise<void> {
  const apt = join(temp, 'apt');
  await mkdir(join(apt, 'lists/partial'), { recursive: true });
  await mkdir(into);
  await writeFile(join(apt, 'sources.list'), await sourceList('deb-src', signal));
  const settings = {
    'Dir::Etc::SourceList': join(apt, 'sources.list'),
    'Dir::Etc::SourceParts': '/dev/null',
    'Dir::State::Lists': join(apt, 'lists'),
    'Dir::Cache': apt,
    // The directory is ours alone, so apt's own user cannot write to it.
    'APT::Sandbox::User': 'root',
  };
  const flags = Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
  await host('apt-get', [...flags, 'update'], { signal });
  await host('apt-get', [...flags, 'source', '--download-only', name], { cwd: into, signal });
}

/**
 * A line for apt, with the mirror that this machine gets Debian from. It has the release alone, whose files stay where they
 * are; an update may vanish between the download of an index and of a file.
 */
async function sourceList(kind: 'deb' | 'deb-src', signal: AbortSignal): Promise<string> {
  const release = await releaseName();
  let mirror = await findMirror(release, signal);
  if (mirror === undefined) {
    // Whom an archive belongs to is known only from its index.
    await host('apt-get', ['update'], { signal });
    mirror = await findMirror(release, signal);
  }
  if (mirror === undefined) throw new Error(`apt knows no archive with Debian ${release} on this machine`);
  return `${kind} [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${mirror} ${release} main\n`;
}

async function findMirror(release: string, signal: AbortSignal): Promise<string | undefined> {
  const format = '$(ORIGIN) $(CODENAME) $(COMPONENT) $(REPO_URI)';
  const list = await host('apt-get', ['indextargets', '--format', format, 'Created-By: Packages'], {
    signal,
  });
  const wanted = `Debian ${release} main `;
  return list
    .split('\n')
    .find((line) => line.startsWith(wanted))
    ?.slice(wanted.length);
}

async function releaseName(): Promise<string> {
  const name = /^VERSION_CODENAME=(\w+)$/m.exec(await readFile('/etc/os-release', 'utf8'))?.[1];
  if (name === undefined) throw new Error('/etc/os-release does not say which release this is');
  return name;
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
