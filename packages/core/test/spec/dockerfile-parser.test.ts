import { DockerfileParser } from 'dockerfile-ast';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Spec, toDockerfile } from '../../src/spec/index.ts';
import { anySpec } from './arbitrary-spec.ts';

describe('the Dockerfile of any spec', () => {
  const keywords = new Set(['FROM', 'SHELL', 'RUN', 'COPY', 'ENV', 'WORKDIR', 'USER']);

  it('is read by a Dockerfile parser as the instructions it was written as', () => {
    fc.assert(
      fc.property(anySpec(), fc.boolean(), (spec, buildkit) => {
        const dockerfile = DockerfileParser.parse(toDockerfile(spec, { buildkit }).text);
        const instructions = dockerfile.getInstructions().map((instruction) => instruction.getInstruction());
        expect(instructions.filter((name) => !keywords.has(name))).toEqual([]);
        expect(instructions.filter((name) => name === 'RUN')).toHaveLength(countRuns(spec));
      }),
      { numRuns: 300 },
    );
  });
});

function countRuns({ stages, ops }: Spec): number {
  const own = ops.filter((op) => op.op === 'run').length;
  return stages.reduce((sum, stage) => sum + countRuns(stage.spec), own);
}
