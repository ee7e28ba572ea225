import { fetcherPromises, fetcherSuite } from '@snapstep/core/conformance';
import { said } from '../by-promise.ts';
import type { Mutant } from '../mutant.ts';
import { askingBreakages } from './asking.ts';
import { openDirectories, openScripted } from './healthy-place.ts';
import { pinBreakages } from './pins.ts';
import { configurationBreakages, unpackingBreakages } from './unpacking.ts';

export const fetcherMutants: readonly Mutant[] = [
  ...[...pinBreakages, ...unpackingBreakages].map(
    ({ change, ...breakage }): Mutant => ({
      ...said(fetcherPromises, breakage),
      needs: ['root'],
      // A directory says nothing about the commands that run in it.
      suite: (functions) =>
        fetcherSuite(functions, { open: () => openDirectories(change), except: ['configuration'] }),
    }),
  ),
  ...[...askingBreakages, ...configurationBreakages].map(
    ({ change, ...breakage }): Mutant => ({
      ...said(fetcherPromises, breakage),
      suite: (functions) =>
        fetcherSuite(functions, { open: () => openScripted(change), except: ['unpacking'] }),
    }),
  ),
];
