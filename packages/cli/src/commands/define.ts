import { Command, type Option } from 'commander';

export interface CommandDefinition {
  readonly description: string;
  /** As commander has them, each with its description: `['<KEY>', 'a step key ...']`. */
  readonly arguments?: readonly (readonly [name: string, description: string])[];
  readonly options: readonly Option[];
  /** Shown by `--help`: what somebody would really type. */
  readonly examples: readonly string[];
}

/** A subcommand with its help, but without its action. */
export function define(name: string, definition: CommandDefinition): Command {
  const command = new Command(name).description(definition.description);
  for (const [argument, description] of definition.arguments ?? []) command.argument(argument, description);
  for (const option of definition.options) command.addOption(option);
  const examples = definition.examples.map((example) => `  ${example}\n`).join('');
  return command.addHelpText('after', `\nExamples:\n${examples}`);
}
