import type { Survivors } from './survivor.ts';

export const CACHE: Survivors = {};
