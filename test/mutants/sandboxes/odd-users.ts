import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Account, ok, type Volumes } from '@snapstep/core/backend';
import type { SandboxBreakage } from './sandbox-mutant.ts';

type Lines = readonly (readonly string[])[];

/** How lists of users are read by who has only seen tidy ones. */
export const oddUsers: readonly SandboxBreakage[] = [
  reader('last-user-needs-a-line-end', (lines, name) => lines.slice(0, -1).find(([first]) => first === name)),
  reader('last-of-two-users', (lines, name) => lines.findLast(([first]) => first === name)),
  reader('users-by-how-they-begin', (lines, name) => lines.find(([first = '']) => first.startsWith(name))),
  reader('users-by-pattern', (lines, name) =>
    lines.find(([first = '']) => new RegExp(`^${name}$`).test(first)),
  ),
  reader('users-need-a-shell', (lines, name) => lines.find((line) => line[0] === name && line[6])),
  reader('comments-are-users', (lines, name) =>
    lines.find(([first = '']) => first.replace(/^# */, '') === name),
  ),
];

/** A sandbox that finds users in its own way by their names. */
function reader(
  name: string,
  find: (lines: Lines, name: string) => readonly string[] | undefined,
): SandboxBreakage {
  return {
    name,
    breaks: 'account',
    first: ['reads lists of users that are as odd'],
    change: ({ sandbox }) => ({
      account: async (user, volumes) => {
        const known = await sandbox.account(user, volumes);
        if (known.isErr() || !('name' in user)) return known;
        return ok(accountIn(find(await linesIn(volumes), user.name)));
      },
    }),
  };
}

function accountIn(line: readonly string[] | undefined): Account | undefined {
  if (line === undefined || !/^\d+$/.test(line[2] ?? '')) return undefined;
  return { uid: Number(line[2]), gid: Number(line[3]), home: line[5] || '/' };
}

async function linesIn(volumes: Volumes): Promise<Lines> {
  const mounted = await [...volumes.values()][0]?.mount();
  if (mounted?.isOk() !== true) return [];
  await using place = mounted.value;
  const text = await readFile(join(place.path, 'etc/passwd'), 'utf8');
  return text.split('\n').map((line) => line.split(':'));
}
