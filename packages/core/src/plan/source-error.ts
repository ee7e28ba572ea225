import { err, type Result } from 'neverthrow';

/** What is wrong with the files that a `copy` wants. */
export interface SourceError {
  readonly type: 'invalid-source';
  /** As the spec names it, or below that. */
  readonly path: string;
  readonly message: string;
}

export function invalid(path: string, message: string): Result<never, SourceError> {
  return err({ type: 'invalid-source', path, message });
}

/** What the system says of a file to copy is the caller's to mend: it is missing, or may not be read. */
export function readable<T>(shown: string, look: () => Result<T, SourceError>): Result<T, SourceError> {
  try {
    return look();
  } catch (error) {
    if (!(error instanceof Error && 'syscall' in error && 'code' in error)) throw error;
    // The path of the system call need not be one that people know.
    const reason = error.message.replace(/, \w+ '.*'$/s, '');
    const why = error.code === 'ENOENT' ? 'went away while it was read' : `cannot be read: ${reason}`;
    return invalid(shown, `"${shown}" ${why}`);
  }
}
