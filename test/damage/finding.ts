/** What a case can find. Each of them fails it. */
export const FAULTS = [
  'wrong',
  'death',
  'unhandled',
  'rejection',
  'hang',
  'refused',
  'lost',
  'touched',
  'left',
  'broken',
] as const;

/**
 * - `wrong`: a result has files that are not its own;
 * - `death`: the process of the host ended, or would have, by an uncaught exception;
 * - `unhandled`: a rejection that nobody handled, of which a host dies as well;
 * - `rejection`: a public method rejected, threw, or gave an error without a sentence;
 * - `hang`: no answer in time;
 * - `refused`: it does not work, where what is damaged can be done without, or is mended by now;
 * - `lost`: a saved step is gone that has nothing to do with the damage;
 * - `touched`: a file was changed that is not ours, behind a link;
 * - `left`: something is still mounted, or open, after the builder was closed;
 * - `broken`: this test itself has failed.
 */
export type Fault = (typeof FAULTS)[number];

export interface Finding {
  readonly fault: Fault;
  readonly text: string;
}
