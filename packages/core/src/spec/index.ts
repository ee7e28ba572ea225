export { checkSpec } from './check-spec.ts';
export { type Dockerfile, type DockerfileOptions, toDockerfile } from './dockerfile.ts';
export * from './make-spec.ts';
export { parseSpec, placeInSpec } from './parse-spec.ts';
export { printSpec, titleOf } from './print-spec.ts';
export type * from './spec.ts';
export type { SpecLimits } from './spec-limits.ts';
