import type { Survivors } from './survivor.ts';

export const PLAN: Survivors = {};
