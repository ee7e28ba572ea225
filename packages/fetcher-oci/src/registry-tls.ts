import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { getCACertificates, type SecureContextOptions } from 'node:tls';

export interface TlsOptions extends SecureContextOptions {
  readonly rejectUnauthorized: boolean;
}

/**
 * Whom to trust and who to be, from the directory that was chosen for a registry or the one that is its own.
 *
 * https://github.com/containers/image/blob/main/docs/containers-certs.d.5.md
 */
export async function tlsOptions(
  registry: string,
  { certDir, tlsVerify }: { readonly certDir?: string; readonly tlsVerify: boolean },
): Promise<TlsOptions> {
  const directory = certDir ?? `/etc/containers/certs.d/${registry}`;
  const names = (await readdir(directory).catch(() => [])).sort();
  const read = (name: string): Promise<string> => readFile(join(directory, name), 'utf8');
  const authorities = await Promise.all(names.filter((name) => name.endsWith('.crt')).map(read));
  const cert = names.find((name) => name.endsWith('.cert'));
  const key = cert && `${cert.slice(0, -'.cert'.length)}.key`;
  return {
    rejectUnauthorized: tlsVerify,
    // Reading those of the system takes a while.
    ...(tlsVerify && {
      ca: [...getCACertificates('default'), ...getCACertificates('system'), ...authorities],
    }),
    ...(cert && key && { cert: await read(cert), key: await read(key) }),
  };
}
