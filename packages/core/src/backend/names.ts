declare const brand: unique symbol;
type Branded<T, Name extends string> = T & { readonly [brand]: Name };

/** The cache key of one step: 64 lower-case hex digits. */
export type StepKey = Branded<string, 'StepKey'>;
/** The name of a cache volume, as the spec gives it. Any text: a backend escapes it with {@link escapeName}. */
export type CacheId = Branded<string, 'CacheId'>;
/** An absolute path on the host. It means something only while what gave it is not disposed. */
export type HostPath = Branded<string, 'HostPath'>;
/** One of the file systems that make up a snapshot, such as `rootfs`, `home` or `brew`. */
export type VolumeName = Branded<string, 'VolumeName'>;

/** Who owns a file or runs a command, as the numbers the kernel knows: 0 to 2³²−2. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export function isStepKey(text: string): text is StepKey {
  return /^[0-9a-f]{64}$/.test(text);
}

/** @throws TypeError if `text` is not 64 lower-case hex digits. */
export function toStepKey(text: string): StepKey {
  if (!isStepKey(text)) throw new TypeError(`"${text}" is not a step key (64 lower-case hex digits)`);
  return text;
}

export function toCacheId(text: string): CacheId {
  return text as CacheId;
}

/** @throws TypeError if `path` is not absolute. */
export function toHostPath(path: string): HostPath {
  if (!path.startsWith('/')) throw new TypeError(`"${path}" is not an absolute path`);
  return path as HostPath;
}

/** Whether `text` is 1 to 32 lower-case letters, digits and dashes. */
export function isVolumeName(text: string): text is VolumeName {
  return /^[a-z0-9][a-z0-9-]{0,31}$/.test(text);
}

/** @throws TypeError unless {@link isVolumeName}. */
export function toVolumeName(text: string): VolumeName {
  if (!isVolumeName(text)) throw new TypeError(`"${text}" is not a volume name`);
  return text;
}
