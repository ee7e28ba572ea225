import { realpathSync } from 'node:fs';
import { delimiter } from 'node:path';
import type { MacosUser } from './macos-user.ts';

/** What steps on a Mac are run as and in, which decides what is mounted over. */
interface Options {
  readonly users: readonly MacosUser[];
  readonly homebrewPrefix: string | undefined;
}

/** The paths of the Mac that the volumes of a step lie over while it runs. */
export function coveredPlaces({ users, homebrewPrefix }: Options): readonly string[] {
  return [
    ...(homebrewPrefix === undefined ? [] : [homebrewPrefix]),
    ...users.map(({ name }) => `/Users/${name}`),
  ];
}

/** The directories of a PATH in which root would find what a step has installed. */
export function coveredDirectories(path: string, places: readonly string[]): readonly string[] {
  return path.split(delimiter).filter((directory) => {
    const names = [directory, followed(directory)].map((name) => `${name.toLowerCase()}/`);
    return places.some((place) => names.some((name) => name.startsWith(`${place.toLowerCase()}/`)));
  });
}

/** A PATH without those. */
export function withoutCovered(path: string, places: readonly string[]): string {
  const covered = coveredDirectories(path, places);
  return path
    .split(delimiter)
    .filter((directory) => !covered.includes(directory))
    .join(delimiter);
}

function followed(directory: string): string {
  try {
    return realpathSync(directory);
  } catch {
    return directory;
  }
}
