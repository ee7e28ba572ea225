import { mutantTests } from './mutant-tests.ts';
import { sandboxMutants } from './sandboxes/index.ts';

mutantTests('sandbox', sandboxMutants);
