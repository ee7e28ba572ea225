import { readdir, readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

/**
 * Whether this machine has skopeo reach a registry in a way of its own: through a proxy, or by a mirror, another place or
 * a refusal in registries.conf. What that comes to is left to skopeo.
 */
export async function isReachedBySkopeoOnly(registry: string): Promise<boolean> {
  return (hasProxy() && !isLoopback(registry)) || (await hasRegistryRules());
}

/** Go's and so skopeo's rule: https://pkg.go.dev/net/http#ProxyFromEnvironment */
function hasProxy(): boolean {
  return ['http_proxy', 'https_proxy'].some((name) => process.env[name] || process.env[name.toUpperCase()]);
}

function isLoopback(registry: string): boolean {
  return /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/.test(registry);
}

/** Tables of registries.conf, in the second format `[[registry]]` and in the first `[registries.search]`. */
const RULES: RegExp = /^\s*\[+\s*"?registr/m;

async function hasRegistryRules(): Promise<boolean> {
  for (const path of await configFiles()) {
    const text = await readFile(path, 'utf8').catch(() => '');
    if (RULES.test(text)) return true;
  }
  return false;
}

/** https://github.com/containers/image/blob/main/docs/containers-registries.conf.5.md */
async function configFiles(): Promise<readonly string[]> {
  const chosen = process.env.CONTAINERS_REGISTRIES_CONF;
  const homes = [
    '/etc/containers',
    join(process.env.XDG_CONFIG_HOME || join(homedir(), '.config'), 'containers'),
  ];
  const directories = homes.map((home) => join(home, 'registries.conf.d'));
  const dropIns = directories.map(async (directory) => {
    const names = await readdir(directory).catch(() => []);
    return names.filter((name) => name.endsWith('.conf')).map((name) => join(directory, name));
  });
  const main = chosen ? [chosen] : homes.map((home) => join(home, 'registries.conf'));
  return [...main, ...(await Promise.all(dropIns)).flat()];
}
