import { lose, type Sheet, type StageState } from './dockerfile-stage.ts';
import { isPlainInFlag, jsonForm } from './dockerfile-words.ts';
import type { RunOp, SecretUse, UserRef } from './spec.ts';
import { quote } from './suggest.ts';

export function writeRun(op: RunOp, state: StageState, sheet: Sheet): void {
  if (state.shell === undefined) lose(sheet, op, "no shell is named, so Docker's own runs the command");
  const words = ['RUN', ...runFlags(op, state, sheet), command(op.command, state, sheet)];
  sheet.lines.push(words.join(' '));
}

function runFlags(op: RunOp, state: StageState, sheet: Sheet): string[] {
  const isolated = op.network.length === 0;
  if (!isolated) lose(sheet, op, "Docker gives it its default network, not the host's own");
  if (isolated && !sheet.buildkit) lose(sheet, op, 'Docker gives it a network');
  if (!sheet.buildkit) {
    if (op.caches.length > 0) lose(sheet, op, 'the caches are left out');
    if (op.secrets.length > 0) lose(sheet, op, 'the secrets are left out');
    return [];
  }
  const mounts = [
    ...op.secrets.map((use) => mountFlag(use, { type: 'secret', defaults: { required: 'true' } })),
    ...op.caches.map((use) => mountFlag(use, { type: 'cache', defaults: { sharing: 'locked' } })),
  ];
  return [...(isolated ? ['--network=none'] : []), ...mounts.flatMap((mount) => mount(op, state, sheet))];
}

type MountWriter = (op: RunOp, state: StageState, sheet: Sheet) => string[];

function mountFlag(
  use: SecretUse,
  { type, defaults }: { type: 'secret' | 'cache'; defaults: Readonly<Record<string, string>> },
): MountWriter {
  return (op, state, sheet) => {
    const options = use.buildkitOptions ?? [];
    const given = new Set(options.map(([key]) => key));
    const own = [...ownerOptions(state.user), ...Object.entries(defaults)].filter(([key]) => !given.has(key));
    const all = [['id', use.id], ['target', use.target], ...own, ...options] as const;
    if (!all.every(([, value]) => isPlainInFlag(value))) {
      lose(sheet, op, `the ${type} ${quote(use.id)} is left out: a flag cannot hold every character`);
      return [];
    }
    if (state.user && 'name' in state.user && state.user.name !== 'root' && !given.has('uid')) {
      lose(sheet, op, `the ${type} ${quote(use.id)} belongs to root: a mount knows users by number only`);
    }
    return [`--mount=type=${type},${all.map(([key, value]) => `${key}=${value}`).join(',')}`];
  };
}

function ownerOptions(user: UserRef | undefined): [string, string][] {
  if (user === undefined || 'name' in user || (user.uid === 0 && user.gid === 0)) return [];
  return [
    ['uid', String(user.uid)],
    ['gid', String(user.gid)],
  ];
}

/**
 * The command as the shell must get it. Docker joins continued lines and drops blank ones and those with a `#`, so a
 * command of several lines is a here-document, or the exec form where Docker knows none or would take it amiss.
 */
function command(text: string, { shell }: StageState, { buildkit, escapeChar }: Sheet): string {
  if (shell?.length === 0) return jsonForm([text]);
  if (isPlainCommand(text, escapeChar)) return text;
  if (buildkit && isHereDocument(text)) return hereDocument(text);
  return jsonForm([...(shell ?? dockersOwnShell[escapeChar]), text]);
}

const dockersOwnShell = { '\\': ['/bin/sh', '-c'], '`': ['cmd', '/S', '/C'] };

function isPlainCommand(text: string, escapeChar: string): boolean {
  const isOneLine = /^[^\p{Cc}]+$/u.test(text.replaceAll('\t', ' ')) && text.trim() === text;
  return isOneLine && !text.endsWith(escapeChar) && !/^(\[|--)|<</.test(text);
}

function isHereDocument(text: string): boolean {
  return text.includes('\n') && !/^#!|\\\n?$|\r/.test(text);
}

function hereDocument(text: string): string {
  const lines = new Set(text.split('\n'));
  let end = 'EOF';
  for (let count = 2; lines.has(end); count += 1) end = `EOF${count}`;
  return `<<${end}\n${text}${text.endsWith('\n') ? '' : '\n'}${end}`;
}
