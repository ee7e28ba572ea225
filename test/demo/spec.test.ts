import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { parseSpec } from '@snapstep/core';
import { expectOk } from '@snapstep/test-support';
import { expect, test } from 'vitest';

test('the spec of the demo copies sources after what is slow to make', async () => {
  const text = await readFile(resolve(import.meta.dirname, '../../examples/demo/build.spec'), 'utf8');
  const [compiled] = expectOk(parseSpec(text)).stages;
  const steps = compiled?.spec.ops.flatMap((op) => {
    if (op.op === 'run') return [op.command];
    return op.op === 'copy' ? [op.src.join(' ')] : [];
  });
  const place = (what: string) => steps?.findIndex((step) => step.includes(what)) ?? -1;
  const order = ['apt-get install', 'configure.ac', './configure', 'src', 'make -j2', 'tests', 'make check'];
  expect(order.map(place)).toEqual([0, 1, 2, 3, 4, 5, 6]);
});
