import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { writeTree } from './write-tree.ts';

const FILES: Readonly<Record<string, string>> = { precious: 'precious\n', 'deep/one': 'one\n' };

/** A directory that is not ours. Links lead there; whoever follows one must not change or delete what it holds. */
export class Elsewhere implements AsyncDisposable {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static async make(parent: string): Promise<Elsewhere> {
    const path = await mkdtemp(join(parent, 'elsewhere-'));
    await writeTree(path, FILES);
    return new Elsewhere(path);
  }

  /** @param mayAdd - Whether new files are all right. @returns What was changed. */
  async changes(mayAdd: boolean): Promise<readonly string[]> {
    const entries = await readdir(this.path, { recursive: true, withFileTypes: true });
    const found = entries
      .filter((entry) => !entry.isDirectory())
      .map((entry) => relative(this.path, join(entry.parentPath, entry.name)))
      .filter((name) => name in FILES || !mayAdd);
    const changes: string[] = [];
    for (const name of new Set([...Object.keys(FILES), ...found])) {
      const text = await readFile(join(this.path, name), 'utf8').catch(() => undefined);
      if (text !== FILES[name]) changes.push(`${name} of others is ${JSON.stringify(text?.slice(0, 80))}`);
    }
    return changes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }
}
