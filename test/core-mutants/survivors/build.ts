import type { Survivors } from './survivor.ts';

export const BUILD: Survivors = {};
