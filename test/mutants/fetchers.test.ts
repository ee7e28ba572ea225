import { fetcherMutants } from './fetchers/index.ts';
import { mutantTests } from './mutant-tests.ts';

mutantTests('fetcher', fetcherMutants);
