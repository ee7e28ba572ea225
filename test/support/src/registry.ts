import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { execa } from 'execa';
import { tempDir } from './temp-dir.ts';

export interface RegistryOptions {
  /** Serve HTTPS with a certificate of an authority made for it. Default: plain HTTP. */
  readonly tls?: boolean;
  /** Who may use it, with the password. Default: anybody. */
  readonly account?: { readonly user: string; readonly password: string };
}

/** Debian's docker-registry on a free port of 127.0.0.1; gone with all its images when it is disposed. */
export interface Registry extends AsyncDisposable {
  /** Host and port, as a reference names it. */
  readonly host: string;
  /** Where the blobs are, to be damaged by tests. */
  readonly storage: string;
  /** With TLS: holds the authority's certificate as a `.crt` file. */
  readonly certDir: string;
  /** With an account: the credentials, as `skopeo login` writes them. */
  readonly authFile: string;
  /** Copies an image there, in words of skopeo, such as `oci:DIR:TAG`. */
  push(from: string, name: string, flags?: readonly string[]): Promise<void>;
}

export async function startRegistry(options: RegistryOptions = {}): Promise<Registry> {
  const dir = await tempDir();
  try {
    const host = `127.0.0.1:${await freePort()}`;
    const files = {
      certDir: join(dir.path, 'certs'),
      authFile: join(dir.path, 'auth.json'),
      storage: join(dir.path, 'data'),
    };
    await mkdir(files.certDir);
    if (options.tls) await makeCertificates(dir.path);
    if (options.account) await makeAccount(dir.path, { ...options.account, host });
    await writeFile(
      join(dir.path, 'config.yml'),
      JSON.stringify(registryConfig(dir.path, { ...options, host })),
    );
    const server = execa('docker-registry', ['serve', join(dir.path, 'config.yml')], {
      reject: false,
      all: true,
    });
    await listening(server);
    const flags = [
      ...['--dest-authfile', files.authFile],
      ...(options.tls ? ['--dest-cert-dir', files.certDir] : ['--dest-tls-verify=false']),
    ];
    return {
      host,
      ...files,
      async push(from, name, more = []) {
        await execa('skopeo', ['copy', '--quiet', ...flags, ...more, from, `docker://${host}/${name}`]);
      },
      async [Symbol.asyncDispose]() {
        server.kill('SIGKILL');
        await server;
        await dir[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await dir[Symbol.asyncDispose]();
    throw error;
  }
}

/** A port that nothing listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address ? address.port : 0;
}

/** JSON is YAML too. */
function registryConfig(dir: string, { tls, account, host }: RegistryOptions & { host: string }): object {
  const certificates = { certificate: join(dir, 'server.pem'), key: join(dir, 'server.key') };
  return {
    version: 0.1,
    log: { level: 'info', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(dir, 'data') }, delete: { enabled: true } },
    http: { addr: host, ...(tls ? { tls: certificates } : {}) },
    ...(account ? { auth: { htpasswd: { realm: 'test', path: join(dir, 'htpasswd') } } } : {}),
  };
}

async function makeCertificates(dir: string): Promise<void> {
  const openssl = (...args: string[]) => execa('openssl', args, { cwd: dir });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  await openssl(
    'req',
    '-x509',
    ...newKey,
    '-keyout',
    'ca.key.pem',
    '-out',
    'ca.crt',
    '-subj',
    '/CN=Test CA',
    '-days',
    '2',
  );
  await openssl('req', ...newKey, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=127.0.0.1');
  await writeFile(join(dir, 'server.ext'), 'subjectAltName=IP:127.0.0.1\n');
  const by = [
    '-CA',
    'ca.crt',
    '-CAkey',
    'ca.key.pem',
    '-CAcreateserial',
    '-days',
    '2',
    '-extfile',
    'server.ext',
  ];
  await openssl('x509', '-req', '-in', 'server.csr', ...by, '-out', 'server.pem');
  await copyFile(join(dir, 'ca.crt'), join(dir, 'certs/ca.crt'));
}

async function makeAccount(
  dir: string,
  { user, password, host }: { user: string; password: string; host: string },
): Promise<void> {
  const { stdout } = await execa('htpasswd', ['-Bbn', user, password]);
  await writeFile(join(dir, 'htpasswd'), stdout);
  await writeFile(join(dir, 'auth.json'), authJson({ host, user, password }));
}

/** The text of an auth file with one login. */
export function authJson({ host, user, password }: { host: string; user: string; password: string }): string {
  return JSON.stringify({
    auths: { [host]: { auth: Buffer.from(`${user}:${password}`).toString('base64') } },
  });
}

async function listening(server: {
  all: AsyncIterable<unknown> & { on(event: 'data', f: (chunk: unknown) => void): unknown };
}): Promise<void> {
  let said = '';
  await new Promise<void>((resolve, reject) => {
    server.all.on('data', (chunk) => {
      said += String(chunk);
      if (said.includes('listening on')) resolve();
    });
    (server as unknown as Promise<unknown>).then(
      () => reject(new Error(`docker-registry ended: ${said}`)),
      reject,
    );
  });
}
