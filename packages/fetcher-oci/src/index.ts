export { type OciFetcher, type OciFetcherOptions, openOciFetcher } from './fetcher.ts';
export type { ImageLimits } from './image-limits.ts';
export { checkReference } from './reference.ts';
