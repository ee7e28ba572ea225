import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { expectErr } from '@snapstep/test-support';
import { Fixture, HOME } from '../fixture.ts';
import { leftIn, other } from '../suite-place.ts';

const value = Buffer.from('sw0rdfish');

describe('secrets', () => {
  it('are there for the user alone, two of one basename too, and gone after a failure (S3, S4)', async () => {
    await using mac = await Fixture.open();
    const secrets = ['/run/secrets/token', `${HOME}/.config/token`].map((target) => ({ target, value }));
    const controller = new AbortController();
    const ready = Promise.withResolvers<string>();
    const first = mac.run(
      'ls -d $SNAPSTEP_SECRETS_DIR; cat $SNAPSTEP_SECRETS_DIR/run/secrets/token; sleep 1000',
      {
        secrets,
        signal: controller.signal,
        volumes: await mac.home(),
        onOutput: (text) => text.includes('sw0rdfish') && ready.resolve(text.split('\n')[0] ?? ''),
      },
    );
    const directory = await ready.promise;
    const spy = await mac.run(
      `cat ${directory}/run/secrets/token; ls ${directory} ${directory}/..; pkill -KILL -U 7001`,
      {
        user: other,
        volumes: await mac.home(other),
      },
    );
    assert.doesNotMatch(spy.text, /sw0rdfish/);
    assert.match(spy.text, /Permission denied[\s\S]*signalling pid \d+: Operation not permitted/);
    controller.abort('enough');
    assert.equal(expectErr((await first).result).type, 'cancelled');
    const both = 'cd $SNAPSTEP_SECRETS_DIR; cat run/secrets/token Users/mac7001/.config/token; exit 3';
    const failed = await mac.run(both, { secrets });
    assert.equal(failed.text, 'sw0rdfishsw0rdfish');
    assert.deepEqual(await leftIn(mac.directory), []);
  });

  it('cannot be read by what a step before has left running (S3)', async () => {
    await using mac = await Fixture.open();
    const volumes = await mac.volumes();
    const search =
      'while :; do cat /Volumes/steps-*/state/steps/*/secrets/token >>~/stolen 2>/dev/null; done';
    await mac.output(`(setsid nohup bash -c '${search}' >/dev/null 2>&1 &); sleep 0.2`, { volumes });
    const secrets = [{ target: '/token', value }];
    assert.equal(await mac.output('sleep 0.3; cat ~/stolen', { volumes, secrets }), '');
  });
});
