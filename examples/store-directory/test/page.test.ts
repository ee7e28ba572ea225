import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../../..');
const page = readFileSync(join(root, 'docs/writing-a-store.md'), 'utf8');
const sources = globSync('examples/store-directory/src/*.ts', { cwd: root }).map((file) =>
  readFileSync(join(root, file), 'utf8'),
);

describe('the page about writing a store', () => {
  it('quotes this example, line by line', () => {
    const quotes = [...page.matchAll(/^```typescript\n(.*?)^```/gms)].map(([, quote = '']) => quote);
    expect(quotes.length).toBeGreaterThan(4);
    for (const quote of quotes) {
      expect(sources.filter((source) => source.includes(quote)).length, quote).toBe(1);
    }
  });
});
