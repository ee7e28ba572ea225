/** The writing side of a log. Only the step that produces the log has it. */
export interface LogSink {
  /**
   * Resolves once the log has taken the chunk, which whoever wrote it may use again then. Wait for it before you write
   * more. It rejects where the log cannot be kept, as on a full disk: then whatever writes to it has to end.
   */
  write(chunk: Uint8Array | string): Promise<void>;
}
