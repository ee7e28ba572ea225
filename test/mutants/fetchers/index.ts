import { fetcherSuite } from '@snapstep/core/conformance';
import type { Mutant } from '../mutant.ts';
import { said } from './breakage.ts';
import { openDirectories, openScripted } from './healthy-place.ts';
import { pinBreakages } from './pins.ts';
import { configurationBreakages, unpackingBreakages } from './unpacking.ts';

export const fetcherMutants: readonly Mutant[] = [
  ...[...pinBreakages, ...unpackingBreakages].map(
    ({ change, ...breakage }): Mutant => ({
      ...said(breakage),
      needs: ['root'],
      // A directory says nothing about the commands that run in it.
      suite: (functions) =>
        fetcherSuite(functions, { open: () => openDirectories(change), except: ['configuration'] }),
    }),
  ),
  ...configurationBreakages.map(
    ({ change, ...breakage }): Mutant => ({
      ...said(breakage),
      suite: (functions) =>
        fetcherSuite(functions, { open: () => openScripted(change), except: ['unpacking'] }),
    }),
  ),
];
