/** The writing side of a log. Only the step that produces the log has it. */
export interface LogSink {
  write(chunk: Uint8Array | string): Promise<void>;
}
