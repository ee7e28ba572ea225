import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { MacosUser } from './macos-user.ts';

/** What is on disk about a step while it runs, so that the next owner of the directory can end what it finds. */
export interface RunRecord extends MacosUser {
  readonly ownDirs: readonly string[];
  /** What is not to be touched when files of the user are looked for. */
  readonly kept: readonly string[];
}

/** One file for each user that runs something, in a directory that only root can read. */
export class RunRecords {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  begin({ name, uid, gid, ownDirs, kept }: RunRecord): void {
    writeFileSync(this.#file(name), `${JSON.stringify({ name, uid, gid, ownDirs, kept })}\n`, {
      mode: 0o600,
    });
  }

  end({ name }: MacosUser): void {
    rmSync(this.#file(name), { force: true });
  }

  /** What a dead owner was running. A file that it could not finish stands for a step that was not begun. */
  left(): readonly RunRecord[] {
    return readdirSync(this.#directory).flatMap((file) => {
      const text = readFileSync(join(this.#directory, file), 'utf8');
      return text.endsWith('\n') ? [JSON.parse(text) as RunRecord] : [];
    });
  }

  #file(name: string): string {
    return join(this.#directory, `${name}.json`);
  }
}
