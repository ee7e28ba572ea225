/**
 * The directions of imports, as docs/architecture.md draws them. Inside core an import only goes down:
 *
 *   index - build - cache | plan - log | spec - backend
 *
 * Stores, sandboxes and fetchers see of us what any author of a backend sees; the command line, the examples
 * and the tests across packages see what any user sees.
 */

/** Of core, `layer` may import itself and `below`. */
function layer(name, ...below) {
  return {
    name: `core-${name}`,
    comment: `core/src/${name} may import ${below.length === 0 ? 'nothing else of core' : below.join(', ')}`,
    severity: 'error',
    from: { path: `^packages/core/src/${name}/` },
    to: { path: '^packages/', pathNot: `^packages/core/src/(${[name, ...below].join('|')})/` },
  };
}

const entries =
  '^packages/[^/]+/src/index[.]ts$|^packages/core/src/(backend|conformance|testing)/index[.]ts$';

module.exports = {
  forbidden: [
    layer('backend'),
    layer('log', 'backend'),
    layer('spec', 'backend'),
    layer('plan', 'spec', 'backend'),
    layer('cache', 'plan', 'spec', 'log', 'backend'),
    layer('build', 'cache', 'plan', 'spec', 'log', 'backend'),
    layer('conformance', 'backend'),
    layer('testing', 'backend'),
    {
      name: 'backend-packages',
      comment: 'a store, sandbox or fetcher imports @snapstep/core/backend and nothing else of ours',
      severity: 'error',
      from: { path: '^packages/((?:store|sandbox|fetcher)-[^/]+)/src/' },
      to: { path: '^packages/', pathNot: '^packages/$1/|^packages/core/src/backend/index[.]ts$' },
    },
    {
      name: 'public-entries',
      comment: 'another package is imported through the entries that it exports',
      severity: 'error',
      from: { path: '^(packages/[^/]+|examples/[^/]+|scripts|test)/' },
      to: { path: '^packages/', pathNot: `^$1/|${entries}` },
    },
    {
      name: 'by-package-name',
      comment: 'another package is imported by its name, not by a path into its directory',
      severity: 'error',
      from: { path: '^(packages/[^/]+|examples/[^/]+|scripts|test)/' },
      to: { path: '^packages/', pathNot: '^$1/', dependencyTypes: ['local'] },
    },
    {
      name: 'no-circular',
      comment: 'a circle of files cannot be understood one at a time',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no-test-code',
      comment: 'what is published does not import what is only there for tests',
      severity: 'error',
      from: { path: '^packages/[^/]+/src/' },
      to: { path: '^test/|^packages/[^/]+/test/' },
    },
    {
      name: 'no-dev-dependency',
      comment: 'a user who installs the package does not get its devDependencies',
      severity: 'error',
      from: { path: '^packages/[^/]+/src/' },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['npm', 'npm-peer', 'type-only'] },
    },
    {
      name: 'not-to-unresolvable',
      severity: 'error',
      comment: 'an import that leads nowhere',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)(dist|fixtures)/' },
    // Type imports give a direction too.
    tsPreCompilationDeps: true,
    combinedDependencies: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['types', 'import', 'node', 'default'],
    },
  },
};
