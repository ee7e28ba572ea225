import { type Check, fine, notApplicable, problem, warning } from '../check.ts';
import { isAtLeast } from '../version.ts';

/** What a container could do to its host, and the upstream releases that ended it, one for each release line. */
const HOLES: readonly { readonly cve: string; readonly mended: readonly string[] }[] = [
  { cve: 'CVE-2019-5736', mended: ['1.0.0-rc7'] },
  { cve: 'CVE-2021-30465', mended: ['1.0.0-rc95'] },
  { cve: 'CVE-2024-21626', mended: ['1.1.12'] },
  { cve: 'CVE-2025-31133', mended: ['1.2.8', '1.3.3', '1.4.0-rc.3'] },
  { cve: 'CVE-2025-52565', mended: ['1.2.8', '1.3.3', '1.4.0-rc.3'] },
  { cve: 'CVE-2025-52881', mended: ['1.2.8', '1.3.3', '1.4.0-rc.3'] },
];

export const runc: Check = {
  name: 'runc',
  async look({ sandbox, runtime, ask, find }) {
    if (sandbox !== 'runc') return notApplicable(`steps run in the ${sandbox} sandbox`);
    const other = runtime ?? 'crun';
    const answer = await ask('runc', ['--version']);
    if (answer === undefined) {
      if (find(other) !== undefined) return notApplicable(`not installed; ${other} is used`);
      return problem('neither runc nor crun is installed', 'apt-get install runc');
    }
    const version = /^runc version (\S+)/m.exec(answer.stdout)?.[1] ?? 'of an unknown version';
    const open = holesOf(version);
    if (open.length === 0) return fine(`runc ${version}`);
    return warning(
      `runc ${version}: upstream mended ${open.join(', ')} later; your distribution may have done so in its package`,
      `apt-get install --only-upgrade runc; apt-get changelog runc | grep ${open.at(-1)}`,
    );
  },
};

/** A release is safe from its own line's mended one on, and so are all later lines. Exported for tests. */
export function holesOf(version: string): string[] {
  return HOLES.filter(
    ({ mended }) => !mended.some((release, at) => isMendedBy(version, release, at === mended.length - 1)),
  ).map(({ cve }) => cve);
}

function isMendedBy(version: string, release: string, isNewestLine: boolean): boolean {
  const line = (text: string): string => text.split('.').slice(0, 2).join('.');
  return isAtLeast(version, release) === true && (isNewestLine || line(version) === line(release));
}
