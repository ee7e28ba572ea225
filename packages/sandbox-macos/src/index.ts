export { type LoginCommand, suArguments } from './login-command.ts';
