import { runCommand } from '@snapstep/core/backend';

/** Whether `cp` is GNU's and, with `always`, whether this file and its copy can share blocks. */
export async function cpCan(reflink: 'always' | 'never', file: string): Promise<boolean> {
  const args = ['--preserve=mode,ownership,timestamps,links,xattr', `--reflink=${reflink}`, '-T'];
  return (await runCommand('cp', [...args, file, `${file}.${reflink}`])).isOk();
}
