import { Command } from 'commander';
import { createImageCommand } from './create.ts';
import { exportImageCommand } from './export.ts';
import { importImageCommand } from './import.ts';
import { listImagesCommand } from './ls.ts';
import { removeImagesCommand } from './rm.ts';

const HELP = `
A base image here is one that the store holds itself, such as the home directory and the Homebrew of a Mac's user
after a script has filled them. (from NAME) finds it before any registry is asked. Only a ZFS store holds such images.

Examples:
  snapstep base-image create macos-ocaml --script setup.sh
  snapstep base-image ls
`;

export function baseImageCommand(): Command {
  const command = new Command('base-image').description(
    'Make, list, move and delete the base images of a store.',
  );
  const children = [
    createImageCommand(),
    listImagesCommand(),
    removeImagesCommand(),
    exportImageCommand(),
    importImageCommand(),
  ];
  for (const child of children) command.addCommand(child);
  return command.addHelpText('after', HELP);
}
