/** The promises of a sandbox, kept where a Mac's tools are. Started by suite.test.ts. */
import { describe, it } from 'node:test';
import { sandboxSuite } from '@snapstep/core/conformance';
import { openPlace, world } from './suite-place.ts';

sandboxSuite(
  { describe, it },
  {
    ...world,
    open: openPlace,
    // The suite's neighbours are one user's, who waits for his turn here. In steps/pool.ts and steps/secrets.ts they are two users'.
    except: [
      'does not see the processes of a command beside it',
      'cannot signal a command beside it, whatever number it has',
      'does not see the secrets of a command beside it (S3)',
      'shares no memory with a command beside it, nor with the host',
      'never mounts on the host while another command swaps a directory for a link (C9)',
    ],
    connect: (host, port) => `{ exec 3<>/dev/tcp/${host}/${port} && cat <&3; }`,
    shell: ['/bin/bash', '-c'],
    // A login session has them, and a build on a Mac needs some of them.
    addsToEnvironment: ['HOME', 'SHELL', 'USER', 'LOGNAME', 'TERM', 'TMPDIR', 'PWD', 'SHLVL', '_'],
  },
);
