import { fetcherMutants } from './fetchers/index.ts';
import { mutantTests } from './mutant-tests.ts';
import { sandboxMutants } from './sandboxes/index.ts';

mutantTests('sandbox', sandboxMutants);
mutantTests('fetcher', fetcherMutants);
