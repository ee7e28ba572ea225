import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BuildLog } from './build-log.ts';

/** The release that the guest is made of: it has the OpenZFS that the tests are written for. */
const RELEASE = 'bookworm';

/** With what Debian signs its archive. */
export const DEBIAN_KEYS = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** The archive that this machine's apt uses, with the settings of this machine's apt, and a list of packages of our own. */
export interface Debian {
  /** Of a package, such as `Version`. */
  field(name: string, field: string): Promise<string>;
  /** Unpacks the files of a package, without what it depends on and without its scripts. */
  unpack(name: string, into: string): Promise<void>;
  /** A new system with these packages and what they depend on. */
  system(packages: readonly string[], into: string): Promise<void>;
}

/** What nobody reads in the guest. */
const LEFT_OUT = ['/usr/share/doc/*', '/usr/share/man/*', '/usr/share/locale/*', '/usr/share/info/*'];

export interface DebianOptions {
  /** For the list of packages and downloads. */
  readonly dir: string;
  readonly log: BuildLog;
}

export async function openDebian({ dir, log }: DebianOptions): Promise<Debian> {
  const sources = await sourceList(log);
  await mkdir(join(dir, 'lists/partial'), { recursive: true });
  await writeFile(join(dir, 'sources.list'), sources);
  const settings = settingsOf(dir);
  await log.run('apt-get', [...settings, 'update']);
  return {
    async field(name, field) {
      const text = await log.run('apt-cache', [...settings, '--no-all-versions', 'show', name]);
      const value = new RegExp(`^${field}: (.*)$`, 'm').exec(text)?.[1];
      if (value === undefined) throw new Error(`Debian's ${name} has no ${field}`);
      return value;
    },
    async unpack(name, into) {
      const deb = join(dir, 'deb');
      await mkdir(deb);
      await log.run('apt-get', [...settings, '--quiet', 'download', name], { cwd: deb });
      for (const file of await readdir(deb)) await log.run('dpkg-deb', ['--extract', join(deb, file), into]);
      await rm(deb, { recursive: true });
    },
    async system(packages, into) {
      const options = LEFT_OUT.map((path) => `--dpkgopt=path-exclude=${path}`);
      const include = `--include=${packages.join(',')}`;
      const args = ['--quiet', '--variant=essential', '--format=directory', '--dpkgopt=force-unsafe-io'];
      const env = { TMPDIR: dir };
      await log.run('mmdebstrap', [...args, ...options, include, RELEASE, into, '-'], {
        input: sources,
        env,
      });
    },
  };
}

/** Only the list of sources and where things are kept are ours; proxies and certificates are the machine's. */
function settingsOf(dir: string): readonly string[] {
  const settings = {
    'Dir::Etc::SourceList': join(dir, 'sources.list'),
    'Dir::Etc::SourceParts': '/dev/null',
    'Dir::State::Lists': join(dir, 'lists'),
    'Dir::State::status': '/dev/null',
    'Dir::Cache': dir,
    // The directory is ours alone, so apt's own user cannot write to it.
    'APT::Sandbox::User': 'root',
  };
  return Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
}

/** ZFS is in Debian's `contrib`. The release alone: an update may vanish between a list's and a file's download. */
async function sourceList(log: BuildLog): Promise<string> {
  let mirror = await findMirror(log);
  if (mirror === undefined) {
    // Whom an archive belongs to is known only from its list.
    await log.run('apt-get', ['update']);
    mirror = await findMirror(log);
  }
  if (mirror === undefined) throw new Error('apt on this machine knows no archive of Debian');
  return `deb [signed-by=${DEBIAN_KEYS}] ${mirror} ${RELEASE} main contrib\n`;
}

async function findMirror(log: BuildLog): Promise<string | undefined> {
  const format = '$(ORIGIN)|$(CODENAME)|$(COMPONENT)|$(REPO_URI)';
  const list = await log.run('apt-get', ['indextargets', '--format', format, 'Created-By: Packages']);
  const archives = list.split('\n').map((line) => line.split('|'));
  return archives.find(([origin, codename, component]) => {
    return origin === 'Debian' && component === 'main' && /^[a-z]+$/.test(codename ?? '');
  })?.[3];
}
