import { mutantTests } from './mutant-tests.ts';
import { storeMutants } from './stores/index.ts';

mutantTests('store', storeMutants);
