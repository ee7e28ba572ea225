import { Command } from 'commander';
import { baseImageCommand } from './commands/base-image/base-image.ts';
import { buildCommand } from './commands/build.ts';
import { cacheCommand } from './commands/cache.ts';
import { checkCommand } from './commands/check.ts';
import { deleteCommand } from './commands/delete.ts';
import { dfCommand } from './commands/df.ts';
import { dockerfileCommand } from './commands/dockerfile.ts';
import { doctorCommand } from './commands/doctor.ts';
import { explainCommand } from './commands/explain.ts';
import { exportCommand } from './commands/export.ts';
import { fmtCommand } from './commands/fmt.ts';
import { healthcheckCommand } from './commands/healthcheck.ts';
import { logCommand } from './commands/log.ts';
import { lsCommand } from './commands/ls.ts';
import { planCommand } from './commands/plan.ts';
import { pruneCommand } from './commands/prune.ts';
import { manifest } from './manifest.ts';
import { sanitizeText } from './progress/sanitize.ts';

const HELP = `
Exit codes:
  0    built, or done
  1    a step or a script failed, "fmt --check" found something to format, or "doctor" a problem
  2    the command line, the spec or the context is wrong
  3    the machine, the store or the network is at fault
  130  interrupted (143 by SIGTERM); once more kills at once

Examples:
  snapstep build -f build.spec .
  snapstep log $(snapstep build -f build.spec .)
  SNAPSTEP_STORE=btrfs:/data/snapstep snapstep ls
`;

/** The whole command line. Parsing an argument list runs a command, which sets the process's exit code. */
export function createProgram(): Command {
  const program = new Command('snapstep')
    .description('Builds a spec step by step, keeps a snapshot of every step, and never runs a step twice.')
    .version(manifest().version, '-V, --version')
    .addHelpText('after', HELP);
  const commands = [
    buildCommand(),
    planCommand(),
    checkCommand(),
    fmtCommand(),
    dockerfileCommand(),
    healthcheckCommand(),
    doctorCommand(),
    lsCommand(),
    logCommand(),
    explainCommand(),
    exportCommand(),
    pruneCommand(),
    deleteCommand(),
    cacheCommand(),
    baseImageCommand(),
    dfCommand(),
  ];
  for (const command of commands) program.addCommand(command);
  return throwing(program);
}

/** Errors of usage are thrown, at every level, instead of ending the process. */
function throwing(command: Command): Command {
  command
    .exitOverride()
    .showHelpAfterError(`(${fullName(command)} --help shows what it takes)`)
    .configureOutput({
      outputError: (text, write) => write(sanitizeText(text.replace(/^error: /, 'snapstep: '))),
    });
  for (const child of command.commands) throwing(child);
  return command;
}

function fullName(command: Command): string {
  return command.parent ? `${fullName(command.parent)} ${command.name()}` : command.name();
}
