import { expectErr, expectOk } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { err, failed, ok, SharedMount, toHostPath } from '../../src/backend/index.ts';

describe('a shared mount', () => {
  it('is mounted for the first lease, and unmounted after the last', async () => {
    const { shared, calls } = makeMount();
    const one = expectOk(await shared.mount());
    const other = expectOk(await shared.mount());
    expect([one.path, other.path]).toEqual(['/target', '/target']);
    await one[Symbol.asyncDispose]();
    await one[Symbol.asyncDispose]();
    expect(calls).toEqual(['mount']);
    await other[Symbol.asyncDispose]();
    expect(calls).toEqual(['mount', 'unmount']);
  });
  it('is mounted once for leases taken at the same time, and again after the last was given back', async () => {
    const { shared, calls } = makeMount();
    const leases = await Promise.all(Array.from({ length: 5 }, () => shared.mount()));
    await Promise.all(leases.map((lease) => expectOk(lease)[Symbol.asyncDispose]()));
    await using _again = expectOk(await shared.mount());
    expect(calls).toEqual(['mount', 'unmount', 'mount']);
  });
  it('leases nothing where mounting fails, and tries again for the next', async () => {
    let isFailing = true;
    const { shared, calls } = makeMount(() => isFailing);
    expect(expectErr(await shared.mount())).toMatchObject({ message: 'no' });
    isFailing = false;
    const lease = expectOk(await shared.mount());
    await lease[Symbol.asyncDispose]();
    expect(calls).toEqual(['mount', 'mount', 'unmount']);
  });
  it('that is closed stays for those who lease it, and tells when it has gone', async () => {
    const { shared, calls } = makeMount();
    const lease = expectOk(await shared.mount());
    await shared.close(async () => void calls.push('idle'));
    expect(expectErr(await shared.mount()).type).toBe('failed');
    expect(calls).toEqual(['mount']);
    await lease[Symbol.asyncDispose]();
    expect(calls).toEqual(['mount', 'unmount', 'idle']);
  });
  it('that is closed at once goes under those who lease it, whose dispose does nothing more', async () => {
    const { shared, calls } = makeMount();
    const lease = expectOk(await shared.mount());
    await shared.closeNow(async () => void calls.push('idle'));
    await lease[Symbol.asyncDispose]();
    expect(calls).toEqual(['mount', 'unmount', 'idle']);
    expect(expectErr(await shared.mount()).type).toBe('failed');
  });
  it('that nobody leases is closed without being mounted', async () => {
    const { shared, calls } = makeMount();
    await shared.close(async () => void calls.push('idle'));
    expect(calls).toEqual(['idle']);
  });
});

function makeMount(isFailing: () => boolean = () => false) {
  const calls: string[] = [];
  const shared = new SharedMount({
    path: toHostPath('/target'),
    mount: async () => {
      calls.push('mount');
      return isFailing() ? err(failed('no')) : ok();
    },
    unmount: async () => void calls.push('unmount'),
  });
  return { shared, calls };
}
