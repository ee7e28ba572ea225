/** All that a stream gives. */
export async function bytesOf(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** A stream that gives some bytes, and stands still then, and the moment when somebody wants more. */
export function stalledStream(bytes: Uint8Array): {
  readonly body: ReadableStream<Uint8Array>;
  readonly reached: Promise<void>;
} {
  const { promise, resolve } = Promise.withResolvers<void>();
  const rest = [bytes];
  const pull = (controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> | void => {
    const next = rest.pop();
    if (next !== undefined) return controller.enqueue(next);
    resolve();
    return new Promise<void>(() => {});
  };
  return { body: new ReadableStream({ pull }), reached: promise };
}

/** A stream of bytes in chunks of 16 KiB; with `error` it fails after them. */
export function streamOf(bytes: Uint8Array, error?: Error): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at < bytes.length) {
        controller.enqueue(bytes.subarray(at, at + 16_384));
        at += 16_384;
      } else if (error) controller.error(error);
      else controller.close();
    },
  });
}
