import { basename, dirname } from 'node:path';
import { hostTool } from '../host-tool.ts';

/*
 * Node has no calls for extended attributes, and their own tools are seldom installed; GNU tar is. It carries
 * them as records `SCHILY.<name>` of the POSIX format (pax), which are made and read here.
 */

/** Sets attributes, such as `xattr.user.colour` and `acl.access`, by unpacking an archive over the file. */
export async function giveAttributes(
  path: string,
  entry: { readonly attributes: Readonly<Record<string, string>>; readonly directory: boolean },
): Promise<void> {
  const records = Object.entries(entry.attributes).map(([name, value]) => record(`SCHILY.${name}`, value));
  const body = Buffer.concat(records);
  const archive = Buffer.concat([
    header('PaxHeader', { type: 'x', size: body.length }),
    body,
    Buffer.alloc(-body.length & 511),
    header(basename(path), { type: entry.directory ? '5' : '0', size: 0 }),
    Buffer.alloc(1024),
  ]);
  const flags = ['--xattrs', '--xattrs-include=*', '--acls', '--numeric-owner'];
  await hostTool('tar', [...flags, '-C', dirname(path), '-xf', '-'], { input: archive });
}

/** Every extended attribute and access control list of a file. Their values must be ASCII. */
export async function attributesOf(path: string): Promise<Record<string, string>> {
  // Lists show up a second time as attributes: everywhere as `system.`, on XFS as `trusted.SGI_ACL_` too.
  const twice = ['--xattrs-exclude=system.*', '--xattrs-exclude=trusted.SGI_ACL_*'];
  const wanted = ['--xattrs', '--xattrs-include=*', ...twice, '--acls', '--numeric-owner'];
  const flags = ['--format=posix', ...wanted, '--no-recursion', '-C', dirname(path)];
  const archive = await hostTool('tar', [...flags, '-cf', '-', basename(path)]);
  return Object.fromEntries(Array.from(archive.matchAll(/(\d+) SCHILY\.([^=\n]+)=/g), parseRecord));
}

function parseRecord(match: RegExpExecArray): [name: string, value: string] {
  const [start, length, name] = match;
  const value = match.input.slice(match.index + start.length, match.index + Number(length));
  // The library behind tar ends each entry of an access control list with a line end, or with a comma.
  return [`${name}`, value.trimEnd().replaceAll(/,?\n/g, ',')];
}

/** `LENGTH NAME=VALUE\n`, where the length counts its own digits. */
function record(name: string, value: string): Buffer {
  const rest = Buffer.from(` ${name}=${value}\n`, 'latin1');
  let length = rest.length;
  while (`${length}`.length + rest.length !== length) length = `${length}`.length + rest.length;
  return Buffer.concat([Buffer.from(`${length}`), rest]);
}

function header(name: string, entry: { readonly type: string; readonly size: number }): Buffer {
  const block = Buffer.alloc(512);
  block.write(name, 0);
  // Its owner can go into a directory: no program could copy it for him otherwise.
  block.write(entry.type === '5' ? '0000750\0' : '0000640\0', 100);
  block.write('0000000\0', 108);
  block.write('0000000\0', 116);
  block.write(`${entry.size.toString(8).padStart(11, '0')}\0`, 124);
  block.write('00000000000\0', 136);
  block.write(`        ${entry.type}`, 148);
  block.write('ustar\x0000', 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}
