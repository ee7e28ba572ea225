// Does with a builder what the process that started this one asks for, and tells all that a host would have died of.
import { inspect } from 'node:util';
import { type Answer, type Ask, OWN, type Said } from '../answer.ts';
import { Session } from './session.ts';

const session = new Session(() => say({ paused: true }));

process.on('unhandledRejection', (reason) => say({ trap: 'unhandledRejection', text: inspect(reason) }));
process.on('uncaughtException', (error) => {
  say({ trap: 'uncaughtException', text: inspect(error) }, () => process.exit(70));
});
process.on('disconnect', () => process.exit(0));
process.on('message', ({ id, asked }: { readonly id: number; readonly asked: Ask }) => {
  session
    .perform(asked)
    .catch(ownFailure)
    .then((answers) => say({ to: id, answers }))
    .catch(stop);
});

/** The process that asked cannot be told any more. */
function stop(): void {
  process.exit(71);
}

/** What this test itself did not expect. It fails the case, and is told apart. */
function ownFailure(error: unknown): readonly Answer[] {
  return [{ call: OWN, outcome: 'rejected', text: inspect(error) }];
}

function say(said: Said, then?: () => void): void {
  process.send?.(said, undefined, undefined, then);
}
