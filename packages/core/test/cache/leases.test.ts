import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Lease, Leases } from '../../src/cache/leases.ts';
import { key } from './keys.ts';

describe('a lease', () => {
  it('says of what it is, and keeps that and nothing else', () => {
    const leases = new Leases();
    const lease = leases.take(key(1));
    expect(lease.key).toBe(key(1));
    expect([leases.has(key(1)), leases.has(key(2))]).toEqual([true, false]);
    lease[Symbol.dispose]();
    expect(leases.has(key(1))).toBe(false);
  });

  it('ends once, however often it is disposed, and others of the same snapshot go on', () => {
    const leases = new Leases();
    const [one, other] = [leases.take(key(1)), leases.take(key(1))];
    one[Symbol.dispose]();
    one[Symbol.dispose]();
    expect(leases.has(key(1))).toBe(true);
    other[Symbol.dispose]();
    expect(leases.has(key(1))).toBe(false);
  });

  it('is there exactly while somebody holds one, in any order of taking and giving back', () => {
    const action = fc.record({ take: fc.boolean(), nth: fc.nat(3) });
    fc.assert(
      fc.property(fc.array(action, { maxLength: 40 }), (actions) => {
        const leases = new Leases();
        const held: Lease[] = [];
        for (const { take, nth } of actions) {
          if (take) held.push(leases.take(key(nth)));
          else held.splice(nth % Math.max(1, held.length), 1)[0]?.[Symbol.dispose]();
          for (const number of [0, 1, 2, 3]) {
            expect(leases.has(key(number))).toBe(held.some((lease) => lease.key === key(number)));
          }
        }
      }),
    );
  });
});
