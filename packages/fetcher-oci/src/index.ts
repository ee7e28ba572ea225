export { type OciFetcher, type OciFetcherOptions, openOciFetcher } from './fetcher.ts';
export { checkReference } from './reference.ts';
