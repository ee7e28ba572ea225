import { expectErr } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { checkKernel } from '../src/kernel.ts';

describe('checkKernel (B1)', () => {
  it.each(['5.8', '5.8.0', '5.10.0-28-amd64', '6.1.0-rc1+', '6.18.44-fc', '10.0'])(
    'accepts %s',
    (release) => {
      expect(checkKernel(release).isOk()).toBe(true);
    },
  );
  it.each(['5.4.0-40-generic', '5.7.19', '4.19', '3.10.0-1160.el7.x86_64', '5', '', 'junk', 'v6.1'])(
    'refuses "%s", says what it needs and how to go on',
    (release) => {
      const { message } = expectErr(checkKernel(release));
      expect(message).toContain('Linux 5.8');
      expect(message).toContain('allowOldKernel');
    },
  );
});
