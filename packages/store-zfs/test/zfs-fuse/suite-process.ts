import { runTests } from './run-tests.ts';
import { suite } from './suite.ts';

runTests(suite);
