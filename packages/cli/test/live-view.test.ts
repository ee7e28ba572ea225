import { stripVTControlCharacters } from 'node:util';
import { type StepKey, type StepOp, toStepKey } from '@snapstep/core';
import { needs } from '@snapstep/test-support';
import stringWidth from 'string-width';
import { describe, expect, it } from 'vitest';
import { renderFrame } from '../src/progress/live-frame.ts';
import { stepTable } from '../src/progress/steps.ts';
import { onTerminal, workplace } from './support.ts';

const KEY: StepKey = toStepKey('0'.repeat(64));
const OP: StepOp = { op: 'base', image: 'busybox' };

describe('a frame of the live view', () => {
  const frame = (options: { stages: number; log: string; columns: number; rows: number }) => {
    const steps = stepTable();
    const at = new Date();
    for (let i = 1; i <= options.stages; i += 1) {
      const place = { key: KEY, stage: `stage${i}` };
      steps.stage({ type: 'stage-started', stage: place.stage, steps: 3 });
      steps.start({ type: 'step-started', ...place, op: OP, number: 2, source: 'ran', at });
      steps.output({ type: 'step-output', ...place, chunk: Buffer.from(options.log) });
    }
    const { columns, rows } = options;
    const text = renderFrame([...steps.running.values()], {
      columns,
      rows,
      now: at.getTime() + 1500,
      summary: 'all',
    });
    return stripVTControlCharacters(text).split('\n');
  };

  it('shows each running step with the end of its log, also of a line that is not complete', () => {
    expect(frame({ stages: 1, log: 'one\ntwo\n50%\r60%', columns: 80, rows: 24 })).toEqual([
      'stage1 2/3  1.5s  (from busybox)',
      '  | one',
      '  | two',
      '  | 60%',
      'all',
    ]);
  });

  it('shows steps that wait for their turn below those that run', () => {
    const steps = stepTable();
    const place = { key: KEY, op: OP, number: 1, source: 'ran' } as const;
    steps.queue({ type: 'step-queued', ...place, stage: 'a' });
    steps.start({ type: 'step-started', ...place, stage: 'b', at: new Date(0) });
    const size = { columns: 80, rows: 24, now: 2000, summary: 'all' };
    const shown = (): string[] =>
      stripVTControlCharacters(renderFrame([...steps.running.values()], size)).split('\n');
    expect(shown()).toEqual(['b 1/1  2.0s  (from busybox)', 'a 1/1  waiting  (from busybox)', 'all']);
    steps.start({ type: 'step-started', ...place, stage: 'a', at: new Date(500) });
    expect(shown()[0]).toBe('a 1/1  1.5s  (from busybox)');
  });

  it.each([
    { stages: 1, columns: 20, rows: 5 },
    { stages: 4, columns: 80, rows: 10 },
    { stages: 40, columns: 120, rows: 24 },
    { stages: 3, columns: 1, rows: 1 },
  ])('fits into the terminal: $stages stages in $columns × $rows', (size) => {
    const lines = frame({ ...size, log: `${'漢字 wide and long '.repeat(50)}\n`.repeat(30) });
    expect(lines.length).toBeLessThanOrEqual(Math.max(2, size.rows - 1));
    for (const line of lines) expect(stringWidth(line)).toBeLessThanOrEqual(size.columns);
  });
});

needs(
  'root',
  'busybox',
  'rsync',
)('the live view on a terminal', () => {
  it('lets no control character of a step through, and leaves one line for each step', async () => {
    await using place = await workplace();
    const spec = await place.spec(
      'live.spec',
      `(run (shell "printf '\\\\033[2Jevil\\\\a\\\\033[?1049h\\\\n'; sleep 0.5"))`,
    );
    const { exitCode, output } = await onTerminal(place, ['build', '-f', spec, ...place.image()]);
    expect(exitCode).toBe(0);
    expect(output).toContain('  | evil');
    expect(output).not.toContain('\u001b[2J');
    expect(output).not.toContain('\u001b[?1049h');
    expect(output).not.toContain('\u0007');
    const lines = stripVTControlCharacters(output).split(/\r?\n/);
    expect(lines.findLast((line) => line.startsWith('main 2/2'))).toMatch(/^main 2\/2 {2}\d\.\ds {2}\(run /);
    expect(lines.findLast((line) => line.includes(' ran'))).toMatch(/^\d+\.\ds {2}2 ran$/);
  });

  it('ends with the summary of a step that failed, and obeys NO_COLOR', async () => {
    await using place = await workplace();
    const spec = await place.spec('live.spec', '(run (shell "echo why; exit 3"))');
    const { exitCode, output } = await onTerminal(place, ['build', '-f', spec, ...place.image()]);
    expect(exitCode).toBe(1);
    const text = stripVTControlCharacters(output).replaceAll('\r', '');
    expect(text).toMatch(/the last 1 lines of its log:\n {2}\| why\nkey [0-9a-f]{64}\n/);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colours begin with one.
    expect(output).not.toMatch(/\u001b\[3\dm/);
  });
});
