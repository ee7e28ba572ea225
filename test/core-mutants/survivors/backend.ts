import type { Survivors } from './survivor.ts';

export const BACKEND: Survivors = {};
