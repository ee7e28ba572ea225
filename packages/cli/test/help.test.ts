import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { createProgram } from '../src/index.ts';

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url));

const COMMANDS =
  'build plan check fmt dockerfile healthcheck doctor ls log explain export prune delete cache base-image df'.split(
    ' ',
  );

describe('the help', () => {
  const program = createProgram();

  it('has every command', () => {
    expect(program.commands.map((command) => command.name())).toEqual(COMMANDS);
  });

  it.each(allCommands(program).map((command) => [fullName(command), command] as const))(
    'of %s describes everything, and shows two or three real examples',
    (name, command) => {
      const text = helpOf(command);
      for (const option of command.options) expect(option.description).not.toBe('');
      for (const argument of command.registeredArguments) expect(argument.description).not.toBe('');
      const examples = text.slice(text.indexOf('Examples:\n')).split('\n').slice(1).filter(Boolean);
      expect(examples.length).toBeGreaterThanOrEqual(2);
      expect(examples.length).toBeLessThanOrEqual(3);
      for (const example of examples) expect(example).toContain(name);
    },
  );

  it('T7: ends quietly when its reader goes away', async () => {
    // The reader is gone before the help is written.
    const script = `{ sleep 1; "$0" "$1" base-image create --help; echo "ended with $?" >&2; } | true`;
    const { stderr } = await execa('bash', ['-c', script, process.execPath, MAIN]);
    expect(stderr).toBe('ended with 141');
  });

  it('shows examples that the command line itself understands', () => {
    for (const command of allCommands(program)) {
      const examples = helpOf(command).split('Examples:\n')[1] ?? '';
      for (const [line] of examples.matchAll(/snapstep (?:(?!\$\(|[|\n]).)*/g)) {
        const named = commandOf(program, line.split(' ').slice(1));
        const known = new Set(named.options.flatMap((option) => [option.long, option.short]));
        for (const used of line.match(/(?<= )--?[a-z][a-z-]*/g) ?? []) expect(known).toContain(used);
      }
    }
  });
});

/** The command that the first words of a command line name. */
function commandOf(command: Command, [word, ...rest]: readonly string[]): Command {
  const child = command.commands.find((each) => each.name() === word);
  return child === undefined ? command : commandOf(child, rest);
}

function allCommands(command: Command): Command[] {
  return [command, ...command.commands.flatMap(allCommands)];
}

function fullName(command: Command): string {
  return command.parent ? `${fullName(command.parent)} ${command.name()}` : command.name();
}

function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({
    writeOut: (part) => {
      text += part;
    },
  });
  command.outputHelp();
  return text;
}
