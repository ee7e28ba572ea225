import { type BytePath, toFsPath } from '../backend/byte-path.ts';
import { FileIdentities } from '../backend/file-identity.ts';
import type { StepKey } from '../backend/names.ts';
import type { SourceEntry } from './source-walk.ts';

/** Names the files of one tree for the `HashCache`, so that no two files have the same name as long as it lasts. */
export type FileNames = (entry: SourceEntry) => BytePath;

/** Of a directory of the host, which holds whatever is there now. For one walk. */
export function hostFiles(): FileNames {
  const identities = new FileIdentities();
  return ({ host, stat }) => `host/${identities.of(stat, toFsPath(host))}`;
}

/**
 * Of a saved step, which never change: the path names a file there, however often the step is mounted. Inodes do not:
 * a step may have made subvolumes, which all begin with the same ones.
 */
export function stepFiles(key: StepKey): FileNames {
  return ({ below }) => `${stepPrefix(key)}/${below}`;
}

/** What all names of a step's files begin with, before a slash. */
export function stepPrefix(key: StepKey): BytePath {
  return `step/${key}`;
}
