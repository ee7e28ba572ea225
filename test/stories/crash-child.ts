import { parseSpec } from '@snapstep/core';
import { expectOk } from '@snapstep/test-support';
import { type OpenOptions, openAt } from './combination.ts';

/**
 * Builds one spec after the other until it is killed, and says on standard output what was saved:
 * `saved KEY TEXT` once a build whose last step wrote TEXT was reported as done.
 */
const options = JSON.parse(process.argv[2] ?? '') as OpenOptions & { readonly first: number };
const world = await openAt(options);
console.log('open');
const secrets = new Map([['token', Buffer.from('a-secret-that-must-not-stay')]]);
for (let i = options.first; ; i += 1) {
  const command = `cat /t > /dev/null; echo ${i} >> /cache/n; echo ${i} > /a; sleep 0.05; cat /a /a > /b; rm /a`;
  const spec = expectOk(
    parseSpec(`((from busybox) (shell /bin/sh -c) (run (shell "echo begin > /begin"))
      (run (cache (c (target /cache))) (secrets (token (target /t))) (shell "${command}")))`),
  );
  await using result = expectOk(await world.builder.build({ spec, secrets }));
  console.log(`saved ${result.key} ${i}`);
}
