#!/usr/bin/env node
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';
import { xdgCache } from 'xdg-basedir';

// Most of what a short command takes is the loading of its code. The default place of this cache is one that
// other users can write to.
if (xdgCache !== undefined) enableCompileCache(join(xdgCache, 'snapstep', 'node'));
const { bugFailure, reportFailure } = await import('./action.ts');

process.on('uncaughtException', (error) => {
  const failure = bugFailure(error);
  const exit = (): never => process.exit(failure.exitCode);
  reportFailure(failure).then(exit, exit);
});

const { run } = await import('./run.ts');
await run(process.argv.slice(2));
