import { type Answer, misused, printed } from './answer.ts';
import {
  clone,
  create,
  destroy,
  destroySnapshot,
  mount,
  promote,
  rename,
  rollback,
  set,
  snapshot,
  unmount,
} from './changes.ts';
import { assignments, type CommandLine, parse, type Syntax } from './command-line.ts';
import { get, list, pools } from './looks.ts';
import type { PoolState } from './pool.ts';

interface Subcommand extends Syntax {
  run(pool: PoolState, line: CommandLine): Answer;
}

/** What the fake knows of `zfs`: what our store uses of OpenZFS 2.1, and no more. */
const ZFS: Readonly<Record<string, Subcommand>> = {
  version: {
    operands: 0,
    run: () => printed(['zfs-2.1.11-1+deb12u1', 'zfs-kmod-2.1.11-1+deb12u1']),
  },
  list: {
    ...{ flags: 'Hpr', valued: 'to', needed: 'Hpo', operands: 1 },
    run: (pool, line) =>
      list(pool, {
        name: operand(line),
        columns: words(line, 'o'),
        types: line.values.has('t') ? words(line, 't') : ['filesystem'],
        recursive: line.flags.has('r'),
      }),
  },
  get: {
    ...{ flags: 'Hp', valued: 'o', needed: 'Hpo', operands: 2 },
    run: (pool, line) =>
      get(pool, { name: operand(line, 1), fields: words(line, 'o'), properties: operand(line).split(',') }),
  },
  create: {
    ...{ flags: 'p', valued: 'o', operands: 1 },
    run: (pool, line) => create(pool, { name: operand(line), ...options(line) }),
  },
  clone: {
    ...{ flags: 'p', valued: 'o', operands: 2 },
    run: (pool, line) => clone(pool, { from: operand(line), name: operand(line, 1), ...options(line) }),
  },
  snapshot: {
    ...{ flags: 'r', valued: 'o', operands: 1 },
    run: (pool, line) =>
      snapshot(pool, {
        name: operand(line),
        properties: options(line).properties,
        recursive: line.flags.has('r'),
      }),
  },
  mount: { valued: 'o', operands: 1, run: (pool, line) => mount(pool, operand(line)) },
  unmount: { flags: 'f', operands: 1, run: (pool, line) => unmount(pool, operand(line)) },
  rename: {
    ...{ flags: 'up', operands: 2 },
    run: (pool, line) =>
      line.flags.size > 1
        ? misused('options -p and -u are mutually exclusive')
        : rename(pool, { from: operand(line), to: operand(line, 1), parents: line.flags.has('p') }),
  },
  rollback: { operands: 1, run: (pool, line) => rollback(pool, operand(line)) },
  promote: { operands: 1, run: (pool, line) => promote(pool, operand(line)) },
  destroy: {
    ...{ flags: 'rd', operands: 1 },
    run: (pool, line) =>
      operand(line).includes('@') ? destroySnapshot(pool, operand(line)) : destroy(pool, operand(line)),
  },
};

const ZPOOL: Readonly<Record<string, Subcommand>> = {
  list: {
    ...{ flags: 'Hp', valued: 'o', needed: 'Hpo', operands: 1 },
    run: (pool, line) => pools(pool, operand(line), words(line, 'o')),
  },
  get: {
    ...{ flags: 'Hp', valued: 'o', needed: 'Hpo', operands: 2 },
    run: (pool, line) => pools(pool, operand(line, 1), operand(line).split(',')),
  },
};

/** Answers a command, and changes the pool by it. What is not known exactly is refused, never guessed. */
export function run(pool: PoolState, [program, name = '', ...args]: readonly string[]): Answer {
  if (program === 'zfs' && name === 'set') return setAll(pool, args);
  const subcommand = (program === 'zfs' ? ZFS : ZPOOL)[name];
  if (!subcommand) return misused(`unrecognized command '${name}'`);
  const line = parse(args, subcommand);
  return 'code' in line ? line : subcommand.run(pool, line);
}

/** `set` alone has as many operands as one likes. */
function setAll(pool: PoolState, args: readonly string[]): Answer {
  const [option = ''] = args;
  if (option.startsWith('-')) return misused(`invalid option '${option[1]}'`);
  const properties = args.slice(0, -1);
  if (properties.length === 0)
    return misused(args.length === 0 ? 'missing property=value argument(s)' : 'missing dataset name(s)');
  if (!properties.every((word) => word.includes('=')))
    return misused(`missing value in property=value argument`);
  return set(pool, args.at(-1) ?? '', assignments(properties));
}

function operand(line: CommandLine, at = 0): string {
  return line.operands[at] ?? '';
}

function words(line: CommandLine, option: string): readonly string[] {
  return (line.values.get(option) ?? []).flatMap((value) => value.split(','));
}

function options(line: CommandLine): { properties: Readonly<Record<string, string>>; parents: boolean } {
  return { properties: assignments(line.values.get('o')), parents: line.flags.has('p') };
}
