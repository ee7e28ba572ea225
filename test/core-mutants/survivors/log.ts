import type { Survivors } from './survivor.ts';

export const LOG: Survivors = {};
