import type { Survivors } from './survivor.ts';

export const BACKEND: Survivors = {
  'backend/hash-cache.ts': [
    {
      within: 'HashCache.flush',
      names: ['rows.length === 0 → false'],
      why: 'A transaction without rows changes nothing in the table: it only takes time.',
    },
  ],
  'backend/hash-table.ts': [
    {
      within: 'HashTable.constructor',
      names: ["'it is of another boot' → ''"],
      why: 'The hash cache catches all that a table throws, and shows the text only with DEBUG=snapstep:hashes.',
    },
    {
      within: 'HashTable.find',
      names: ['`the row of ${file.name} is damaged` → ``'],
      why: 'The hash cache catches all that a table throws, and shows the text only with DEBUG=snapstep:hashes.',
    },
  ],
};
