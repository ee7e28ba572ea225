import { readFileSync } from 'node:fs';
import { defineConfig } from 'tsup';

interface Manifest {
  publishConfig: { exports: Record<string, { default: string }>; bin?: Record<string, string> };
}

// Every package builds with this file: what its `publishConfig` promises is what gets built.
const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as Manifest;
const outputs = [
  ...Object.values(manifest.publishConfig.exports).map((entry) => entry.default),
  ...Object.values(manifest.publishConfig.bin ?? {}),
];

export default defineConfig({
  entry: Object.fromEntries(
    outputs.map((output) => {
      const name = output.replace(/^\.\/dist\/|\.js$/g, '');
      return [name, `src/${name}.ts`];
    }),
  ),
  format: 'esm',
  target: 'node22.18',
  // Without this, `node:sqlite` would become `sqlite`, which does not exist.
  removeNodeProtocol: false,
  clean: true,
  dts: false,
  silent: true,
});
