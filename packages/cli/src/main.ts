#!/usr/bin/env node
import { bugFailure } from './action.ts';
import { run } from './run.ts';

process.on('uncaughtException', (error) => {
  const { exitCode, message } = bugFailure(error);
  process.stderr.write(`snapstep: ${message}\n`, () => process.exit(exitCode));
});

await run(process.argv.slice(2));
