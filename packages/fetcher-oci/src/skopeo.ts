import { type Cancelled, type CommandFailed, type Result, runCommand } from '@snapstep/core/backend';

/** How to talk to one registry. Credentials are in a file, never in an argument. */
export interface RegistryAccess {
  /** False: plain HTTP and unknown certificates will do. */
  readonly tlsVerify: boolean;
  readonly certDir?: string;
  readonly authFile?: string;
}

type Outcome = Promise<Result<string, CommandFailed | Cancelled>>;

/** The manifest or index of an image, byte for byte. */
export function inspectRaw(url: string, options: RegistryAccess & { readonly signal: AbortSignal }): Outcome {
  const args = ['inspect', '--raw', '--retry-times', '1', ...accessFlags(options, ''), url];
  return runCommand('skopeo', args, { signal: options.signal });
}

export interface CopyOptions {
  readonly from: string;
  /** In words of skopeo, such as `oci:DIR:TAG`; a relative path starts at `cwd`. */
  readonly to: string;
  /** Also where big temporary files go. */
  readonly cwd: string;
  readonly access?: RegistryAccess;
  /** Which image to take where `from` has several. */
  readonly platform?: string;
  /** Whether layers that are not compressed stay so, or all become gzip. Default: as the format likes it. */
  readonly layers?: 'keep' | 'gzip';
  readonly signal: AbortSignal;
}

/** Copies an image. Every blob is checked against its digest on the way. */
export function copyImage(options: CopyOptions): Outcome {
  const args = [
    ...['--tmpdir', options.cwd],
    ...platformFlags(options.platform),
    ...['copy', '--quiet'],
    ...(options.access ? [...accessFlags(options.access, 'src-'), '--retry-times', '2'] : []),
    ...(options.layers === 'keep' ? ['--dest-oci-accept-uncompressed-layers'] : []),
    ...(options.layers === 'gzip' ? ['--dest-compress', '--dest-compress-format', 'gzip'] : []),
    ...[options.from, options.to],
  ];
  return runCommand('skopeo', args, { cwd: options.cwd, signal: options.signal });
}

function accessFlags(access: RegistryAccess, prefix: '' | 'src-'): readonly string[] {
  return [
    ...(access.tlsVerify ? [] : [`--${prefix}tls-verify=false`]),
    ...(access.certDir === undefined ? [] : [`--${prefix}cert-dir`, access.certDir]),
    ...(access.authFile === undefined ? [] : [`--${prefix}authfile`, access.authFile]),
  ];
}

function platformFlags(platform: string | undefined): readonly string[] {
  if (platform === undefined) return [];
  const [os = '', architecture = '', variant] = platform.split('/');
  return [
    ...['--override-os', os, '--override-arch', architecture],
    ...(variant === undefined ? [] : ['--override-variant', variant]),
  ];
}
