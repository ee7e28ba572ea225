/**
 * Which of several platforms to take for the one that is wanted, or -1.
 *
 * A variant that an older processor of the family also runs will do where the exact one is missing: `arm/v7`
 * takes `v6`, `amd64/v3` takes `amd64`. No variant means `v8` on arm64 and `v7` on arm.
 *
 * @param wanted - `os/architecture` or `os/architecture/variant`.
 */
export function choosePlatform(wanted: string, offered: readonly string[]): number {
  const [os = '', architecture = '', variant] = wanted.split('/');
  for (const candidate of variants(architecture, variant)) {
    const name = [os, architecture, ...(candidate === '' ? [] : [candidate])].join('/');
    const at = offered.indexOf(name);
    if (at >= 0) return at;
  }
  return -1;
}

/** The variants that run on such a machine, the best first; `''` stands for an image that names none. */
function variants(architecture: string, variant: string | undefined): readonly string[] {
  const lowest = LOWEST.get(architecture);
  if (lowest === undefined) return variant === undefined ? [''] : [variant, ''];
  const highest = Number(/^v(\d)$/.exec(variant ?? DEFAULT.get(architecture) ?? '')?.[1] ?? Number.NaN);
  if (Number.isNaN(highest)) return variant === undefined ? [''] : [variant];
  const names = Array.from({ length: highest - lowest + 1 }, (_, i) => `v${highest - i}`);
  return architecture === 'arm' ? [...names, ''] : names.flatMap((name) => withUnnamed(name, lowest));
}

/** On amd64 and arm64 an image without a variant is one of the first variant. */
function withUnnamed(name: string, lowest: number): readonly string[] {
  return name === `v${lowest}` ? [name, ''] : [name];
}

const LOWEST: ReadonlyMap<string, number> = new Map([
  ['amd64', 1],
  ['arm64', 8],
  ['arm', 5],
]);
const DEFAULT: ReadonlyMap<string, string> = new Map([
  ['amd64', 'v1'],
  ['arm64', 'v8'],
  ['arm', 'v7'],
]);
