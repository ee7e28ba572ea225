import { expectErr, expectOk } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import type { Owner, StoreError } from '../../src/backend/index.ts';
import { cancelled, err, failed, ok } from '../../src/index.ts';
import { APT, ME, openBroker, watchOverlaps } from './broker-place.ts';

describe('a cache that several steps used at the same time', () => {
  it('keeps what the first to finish wrote, and tells the others that they came too late', async () => {
    await using place = await openBroker();
    const [one, two] = [await place.checkOut(), await place.checkOut()];
    await place.write(one.volume, 'one');
    await place.write(two.volume, 'two');
    expect(expectOk(await two.finish())).toBe('published');
    expect(expectOk(await one.finish())).toBe('overtaken');
    expect(await place.newest()).toEqual(['two']);
  });

  it('is passed on from one step to the next', async () => {
    await using place = await openBroker();
    for (const name of ['one', 'two', 'three']) {
      await using copy = await place.checkOut();
      await place.write(copy.volume, name);
      expect(expectOk(await copy.finish())).toBe('published');
    }
    expect(await place.newest()).toEqual(['one', 'three', 'two']);
  });

  it('is published once by each copy', async () => {
    await using place = await openBroker();
    const copy = await place.checkOut();
    expect(expectOk(await copy.finish())).toBe('published');
    expect(expectOk(await copy.finish())).toBe('overtaken');
  });

  it('stays open for others when one has changed nothing', async () => {
    await using place = await openBroker({ changed: async () => ok(false) });
    const [one, two] = [await place.checkOut(), await place.checkOut()];
    expect(expectOk(await one.finish())).toBe('unchanged');
    place.wrap({});
    const three = await place.checkOut();
    await place.write(three.volume, 'three');
    expect(expectOk(await three.finish())).toBe('published');
    expect(expectOk(await two.finish())).toBe('overtaken');
    expect(await place.newest()).toEqual(['three']);
  });

  it('is another than one of another name', async () => {
    await using place = await openBroker();
    const [apt, npm] = [await place.checkOut(), await place.checkOut('npm')];
    expect(expectOk(await apt.finish())).toBe('published');
    expect(expectOk(await npm.finish())).toBe('published');
  });
});

describe('a cache that is removed', () => {
  it('is gone, and what running steps have of it is thrown away when they end', async () => {
    await using place = await openBroker();
    expectOk(await (await place.checkOut()).finish());
    const copy = await place.checkOut();
    expectOk(await place.broker.remove(APT));
    await place.write(copy.volume, 'late');
    expect(expectOk(await copy.finish())).toBe('overtaken');
    expect(expectOk(await place.caches.list())).toEqual([]);
    expect(await place.newest()).toEqual([]);
  });

  it('is gone also for a copy from before another was published', async () => {
    await using place = await openBroker();
    const [one, two] = [await place.checkOut(), await place.checkOut()];
    await place.write(one.volume, 'late');
    expect(expectOk(await two.finish())).toBe('published');
    expectOk(await place.broker.remove(APT));
    expect(expectOk(await one.finish())).toBe('overtaken');
    expect(await place.newest()).toEqual([]);
  });

  it('begins again with the next step', async () => {
    await using place = await openBroker();
    expectOk(await place.broker.remove(APT));
    expect(expectOk(await (await place.checkOut()).finish())).toBe('published');
  });

  it('tells what the store said against it', async () => {
    await using place = await openBroker();
    place.caches.remove = async () => err(failed('it is in use'));
    expect(expectErr(await place.broker.remove(APT))).toEqual(failed('it is in use'));
  });
});

describe('a copy of a cache', () => {
  it('that was not finished is thrown away', async () => {
    await using place = await openBroker();
    const before = await place.files();
    {
      await using copy = await place.checkOut();
      await place.write(copy.volume, 'one');
      expect(await place.files()).toBeGreaterThan(before);
    }
    expect(await place.files()).toBe(before);
    expect(await place.newest()).toEqual([]);
  });

  it('that cannot be taken is the failure of the store', async () => {
    await using place = await openBroker();
    place.caches.checkOut = async () => err(failed('no copy'));
    expect(expectErr(await place.broker.checkOut(APT, ME))).toEqual(failed('no copy'));
  });

  it('belongs to the owner that was asked for', async () => {
    await using place = await openBroker();
    const owners: Owner[] = [];
    const checkOut = place.caches.checkOut.bind(place.caches);
    place.caches.checkOut = async (id, owner) => {
      owners.push(owner);
      return checkOut(id, owner);
    };
    expectOk(await place.broker.checkOut(APT, { uid: 5, gid: 6 }));
    expect(owners).toEqual([{ uid: 5, gid: 6 }]);
  });

  it('that cannot be published is the failure of the store, and another may still be', async () => {
    await using place = await openBroker({ publish: async () => err(failed('no room')) });
    const one = await place.checkOut();
    place.wrap({});
    const two = await place.checkOut();
    await place.write(two.volume, 'two');
    expect(expectErr(await one.finish())).toEqual(failed('no room'));
    expect(expectOk(await two.finish())).toBe('published');
    expect(await place.newest()).toEqual(['two']);
  });

  it('of which nobody can say whether it was changed is not published', async () => {
    let published = false;
    await using place = await openBroker({
      changed: async () => err(failed('cannot look')),
      publish: async () => {
        published = true;
        return ok();
      },
    });
    expect(expectErr(await (await place.checkOut()).finish())).toEqual(failed('cannot look'));
    expect(published).toBe(false);
  });
});

describe('what the index knows of a cache', () => {
  it('is that it may change, from before a copy is out until the last copy has come back', async () => {
    await using place = await openBroker();
    {
      await using _first = await place.checkOut();
      {
        await using copy = await place.checkOut();
        expectOk(await copy.finish());
      }
      expect([place.isQuiet(), place.index.markedCaches('in this boot')]).toEqual([false, [APT]]);
    }
    expect([place.isQuiet(), place.index.markedCaches('in this boot')]).toEqual([true, []]);
  });

  it('is nothing where no copy could be taken', async () => {
    await using place = await openBroker();
    place.caches.checkOut = async () => err(failed('no copy'));
    expectErr(await place.broker.checkOut(APT, ME));
    expect(place.isQuiet()).toBe(true);
  });

  it('must be durable before a copy is published: one that came too early is not kept', async () => {
    await using place = await openBroker();
    place.index.flush = async () => err({ type: 'no-space', message: 'the disk is full' });
    const copy = await place.checkOut();
    await place.write(copy.volume, 'one');
    expect(expectOk(await copy.finish())).toBe('unmarked');
    expect(await place.newest()).toEqual([]);
  });
});

describe('a cache that the store cannot copy', () => {
  it('is dropped and begins anew, and what others have of it is thrown away', async () => {
    await using place = await openBroker();
    const before = await place.checkOut();
    expect(before.dropped).toBeUndefined();
    place.failOnce(failed('File name too long'));
    const copy = await place.checkOut();
    expect(copy.dropped).toEqual(failed('File name too long'));
    expect(expectOk(await before.finish())).toBe('overtaken');
    await place.write(copy.volume, 'anew');
    expect(expectOk(await copy.finish())).toBe('published');
    expect(await place.newest()).toEqual(['anew']);
    await copy[Symbol.asyncDispose]();
    await before[Symbol.asyncDispose]();
    expect(place.isQuiet()).toBe(true);
  });

  it.each<readonly [why: string, error: StoreError]>([
    ['the disk is full', { type: 'no-space', message: 'full' }],
    ['the store is busy', { type: 'busy', message: 'busy' }],
    ['the step was cancelled', cancelled({ reason: new Error('stop') })],
    ['the store is stuck', { type: 'stuck', message: 'stuck', needsReboot: false }],
    ['a program cannot be started', { ...failed('EMFILE', { exitCode: undefined }) }],
    ['a program was killed', { ...failed('was killed by SIGKILL', { exitCode: undefined }) }],
    ...['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN', 'EROFS', 'ENODEV'].map(
      (code) => [`a system call says ${code}`, systemFailure(code)] as const,
    ),
  ])('is kept where that says nothing of it: %s', async (_, error) => {
    await using place = await openBroker();
    const copy = await place.checkOut();
    await place.write(copy.volume, 'kept');
    expectOk(await copy.finish());
    place.failOnce(error);
    expect(expectErr(await place.broker.checkOut(APT, ME))).toEqual(error);
    expect(await place.newest()).toEqual(['kept']);
  });

  it.each<readonly [why: string, error: StoreError]>([
    ['the store names no cause', failed('no copy')],
    ['the cause is nothing', failed('no copy', null)],
    ['the cause is a text', failed('no copy', 'because')],
    ['a program ended with an error', failed('cp: bad file', { exitCode: 1 })],
    ['a name is too long', systemFailure('ENAMETOOLONG')],
  ])('is dropped where that may be of what is in it: %s', async (_, error) => {
    await using place = await openBroker();
    expectOk(await (await place.checkOut()).finish());
    place.failOnce(error);
    const copy = await place.checkOut();
    expect(copy.dropped).toEqual(error);
    expect(expectOk(await place.caches.list())).toEqual([]);
  });

  it('is the failure of the store, if it cannot be dropped', async () => {
    await using place = await openBroker();
    expectOk(await (await place.checkOut()).finish());
    place.failOnce(failed('no copy'));
    place.caches.remove = async () => err(failed('no removal'));
    expect(expectErr(await place.broker.checkOut(APT, ME))).toEqual(failed('no removal'));
  });
});

describe('the calls about one cache', () => {
  it('never overlap, and those about others go on meanwhile', async () => {
    await using place = await openBroker();
    const { most, of } = watchOverlaps(place.caches);
    const use = async (id: string): Promise<void> => {
      await using copy = await place.checkOut(id);
      await copy.finish();
    };
    const ids = Array.from({ length: 12 }, (_, i) => (i % 2 === 0 ? 'apt' : 'npm'));
    await Promise.all([...ids.map(use), place.broker.remove(APT)]);
    expect([of.get('apt'), of.get('npm')]).toEqual([1, 1]);
    expect(most()).toBe(2);
  });
});

function systemFailure(code: string): StoreError {
  return failed('open', Object.assign(new Error('open'), { code }));
}
