/** Tests that show that nobody reads what is not theirs. */
export const READ_FILES: readonly string[] = [
  // Directories that are exchanged while they are walked through.
  'packages/core/test/backend/open-directory.test.ts',
  'packages/core/test/plan/exchanged-directories.test.ts',
  'packages/fetcher-oci/test/exchanged-directories.test.ts',
  // Images of others.
  'packages/fetcher-oci/test/private-images.test.ts',
  // Secrets.
  'packages/core/test/build/secrets-in-logs.test.ts',
  'packages/core/test/log/masked-log.test.ts',
  // Names that reach the terminal.
  'packages/cli/test/control-characters.test.ts',
  // What a step tries against the host and other steps.
  'packages/sandbox-runc/test/filtered-arguments.test.ts',
  'packages/sandbox-runc/test/user-namespaces.test.ts',
];

/** Such tests among others in their file, by a part of their titles. */
export const READ_TESTS: readonly { readonly file: string; readonly titles: readonly string[] }[] = [
  { file: 'packages/cli/test/commands.test.ts', titles: ['export lets nobody else into its directory'] },
  { file: 'packages/cli/test/build.test.ts', titles: ['gives a secret to the step that wants it'] },
  {
    file: 'packages/core/test/backend/backend.test.ts',
    titles: ['is in files that nobody else reads', 'is not taken of a directory'],
  },
  { file: 'packages/core/test/backend/workspace.test.ts', titles: ['lets nobody else in'] },
  { file: 'packages/store-rsync/test/open.test.ts', titles: ['lets no other user of the host into'] },
  {
    file: 'packages/sandbox-runc/test/mounts.test.ts',
    titles: ['only the user of the step read a secret', 'out of every process list'],
  },
  {
    file: 'test/stories/build.test.ts',
    titles: ['mounts a secret for one step', 'masks a secret that a step prints'],
  },
];
