/** What a step on a Mac gets, and what it leaves, one topic after the other. Started by ../steps.test.ts. */
import './steps/world-of-a-step.ts';
import './steps/secrets.ts';
import './steps/residue.ts';
import './steps/pool.ts';
import './steps/busy-volume.ts';
import './steps/opening.ts';
import './steps/hostile.ts';
