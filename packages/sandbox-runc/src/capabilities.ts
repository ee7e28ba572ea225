import { readFile } from 'node:fs/promises';

/**
 * What root may do in a container, with the bits of `linux/capability.h`.
 *
 * Docker's default set (https://docs.docker.com/engine/security/#linux-kernel-capabilities) without MKNOD, which would
 * let a build leave device nodes in a snapshot, and without NET_RAW, which reads the host's traffic on its network.
 * SETUID, SETGID and AUDIT_WRITE are what `sudo` works with.
 */
const NEEDED: Readonly<Record<string, number>> = {
  CAP_CHOWN: 0,
  CAP_DAC_OVERRIDE: 1,
  CAP_FOWNER: 3,
  CAP_FSETID: 4,
  CAP_KILL: 5,
  CAP_SETGID: 6,
  CAP_SETUID: 7,
  CAP_SETPCAP: 8,
  CAP_NET_BIND_SERVICE: 10,
  CAP_SYS_CHROOT: 18,
  CAP_AUDIT_WRITE: 29,
  CAP_SETFCAP: 31,
};

/** Those of the needed capabilities that this process can hand on: a runtime fails at one that it lacks itself. */
export async function grantableCapabilities(): Promise<readonly string[]> {
  const status = await readFile('/proc/self/status', 'utf8');
  const permitted = BigInt(`0x${/^CapPrm:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  return Object.entries(NEEDED)
    .filter(([, bit]) => (permitted >> BigInt(bit)) & 1n)
    .map(([name]) => name);
}
