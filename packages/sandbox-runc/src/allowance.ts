/**
 * What a sandbox can open for its steps beyond what every step has:
 *
 * - `user-namespaces`: a step may make namespaces, and mount in them, as `bwrap`, `unshare --user` and rootless
 *   container tools do. Inside one it has every capability over what it made, and reaches parts of the kernel that are
 *   closed otherwise: file systems that a user may mount, packet filters, network devices. Bugs there have let
 *   containers out. Cgroup namespaces stay closed, and so do fresh mounts of `/proc` and `/sys`.
 * - `io-uring`: a step may use `io_uring`. What is done through it passes no system call filter: sockets of `AF_VSOCK`
 *   and `AF_ALG` can be opened, and `fastSync` has no effect there. It too has had many bugs.
 */
export type Allowance = 'user-namespaces' | 'io-uring';

const ALLOWANCES: readonly string[] = ['user-namespaces', 'io-uring'] satisfies readonly Allowance[];

/** The first of these that is no allowance, as a program without types may give it. */
export function unknownAllowance(allow: readonly string[]): string | undefined {
  return allow.find((name) => !ALLOWANCES.includes(name));
}
