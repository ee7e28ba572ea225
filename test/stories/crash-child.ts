import { parseSpec } from '@snapstep/core';
import { expectOk } from '@snapstep/test-support';
import { type OpenOptions, openAt } from './combination.ts';

/**
 * Builds one spec after the other, from the given number on, until it is killed, and says on standard output what was saved:
 * `saved KEY TEXT` once a build whose last step wrote TEXT was reported as done.
 */
const options = JSON.parse(process.argv[2] ?? '') as OpenOptions & { readonly first: number };
const world = await openAt(options);
console.log('open');
const secrets = new Map([['token', Buffer.from('a-secret-that-must-not-stay')]]);
for (let i = options.first; ; i += 1) {
  // What a killed run leaves has a name of its own, so that the run after it would not take it away.
  const dirt = 'd=/dirt.$(cat /proc/sys/kernel/random/uuid); echo > $d';
  const command = `${dirt}; cat /t > /dev/null; echo ${i} >> /cache/n; sleep 0.05; echo ${i} >> /b; echo ${i} >> /b; rm $d`;
  const spec = expectOk(
    parseSpec(`((from busybox) (shell /bin/sh -c) (run (shell "echo begin > /begin"))
      (run (cache (c (target /cache))) (secrets (token (target /t))) (shell "${command}")))`),
  );
  await using result = expectOk(await world.builder.build({ spec, secrets }));
  console.log(`saved ${result.key} ${i}`);
}
