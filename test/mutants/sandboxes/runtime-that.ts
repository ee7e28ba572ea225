import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * A runc that changes what it was told, as if the author had written it so.
 *
 * @param before - A shell command to run first; the directory of the container is `$arg`.
 * @param through - A program that starts it.
 */
export async function runtimeThat(
  dir: string,
  sed: string,
  { before = ':', through = '' }: { readonly before?: string; readonly through?: string } = {},
): Promise<string> {
  const script = `#!/bin/sh
for arg do
  if [ "$previous" = --bundle ]; then
    ${before}
    before=$(cksum <"$arg/config.json")
    sed -i '${sed}' "$arg/config.json"
    [ "$before" != "$(cksum <"$arg/config.json")" ] || { echo 'nothing to change' >&2; exit 1; }
  fi
  previous=$arg
done
exec ${through} runc "$@"
`;
  const path = join(dir, 'runtime');
  await writeFile(path, script);
  await chmod(path, 0o755);
  return path;
}
