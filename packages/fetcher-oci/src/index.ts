export { type OciFetcher, type OciFetcherOptions, openOciFetcher } from './fetcher.ts';
