import type { Mutant } from '../mutant.ts';
import { endingMutants } from './endings.ts';
import { escapeMutants } from './escapes.ts';
import { exitMutants } from './exits.ts';
import { limitMutants } from './limits.ts';
import { outputMutants } from './output.ts';
import { processMutants } from './processes.ts';
import { targetMutants } from './targets.ts';
import { volumeMutants } from './volumes.ts';
import { worldMutants } from './world.ts';

export const sandboxMutants: readonly Mutant[] = [
  ...exitMutants,
  ...outputMutants,
  ...processMutants,
  ...limitMutants,
  ...worldMutants,
  ...volumeMutants,
  ...targetMutants,
  ...endingMutants,
  ...escapeMutants,
];
