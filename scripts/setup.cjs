#!/usr/bin/env node
'use strict';
/**
 * Makes a bare machine ready, then starts one of the jobs below with the right Node.
 *
 *   node scripts/setup.cjs demo      builds a real project three times and shows what was cached
 *   node scripts/setup.cjs test      every check and every test
 *   node scripts/setup.cjs check     what needs no test to be seen: types, style, imports, builds
 *   node scripts/setup.cjs test:answers  every public call, in every state of a builder and its disk: each is answered
 *   node scripts/setup.cjs test:conformance  the conformance suites over every backend, a line for each
 *   node scripts/setup.cjs test:copy-model  what copies do, held against a model: 10,000 cases on each disk
 *   node scripts/setup.cjs test:core-mutants  small changes of core must make its tests fail
 *   node scripts/setup.cjs test:damage  damaged files, full disks and the like must never give a wrong result
 *   node scripts/setup.cjs test:growth  how the work for a text grows with it, for every shape that it can have
 *   node scripts/setup.cjs test:reads  nobody reads what is not theirs: other users, other builds, a step, a terminal
 *   node scripts/setup.cjs test:zfs  the ZFS store in under three minutes: a strict fake, and zfs-fuse
 *   node scripts/setup.cjs test:openzfs   the ZFS store on OpenZFS, in a virtual machine
 *   node scripts/setup.cjs test:power-cut  builders whose power is cut, on Btrfs, XFS and ext4: nothing may be wrong
 *   node scripts/setup.cjs test:mutants  backends that break a promise must fail the conformance suites
 *
 * It is plain CommonJS without newer syntax, because it must start on whatever Node the machine has (12 and
 * later). Everything it installs comes from Debian's packages or the npm registry, and it says what and why.
 */
const { spawn, spawnSync } = require('child_process');
const fs = require('fs');
const path = require('path');

const JOBS = {
  'bench:macos-flow': 'scripts/bench-macos-flow.ts',
  check: 'scripts/check.ts',
  demo: 'scripts/demo.ts',
  test: 'scripts/test.ts',
  'test:answers': 'scripts/test-answers.ts',
  'test:conformance': 'scripts/test-conformance.ts',
  'test:copy-model': 'scripts/test-copy-model.ts',
  'test:core-mutants': 'scripts/test-core-mutants.ts',
  'test:damage': 'scripts/test-damage.ts',
  'test:growth': 'scripts/test-growth.ts',
  'test:macos': 'scripts/test-macos.ts',
  'test:mutants': 'scripts/test-mutants.ts',
  'test:nodes': 'scripts/test-nodes.ts',
  'test:openzfs': 'scripts/test-openzfs.ts',
  'test:power-cut': 'scripts/test-power-cut.ts',
  'test:reads': 'scripts/test-reads.ts',
  'test:zfs': 'scripts/test-zfs.ts',
};

/** What `npm test` and `npm run demo` really use of Debian, and for what. */
const DEBIAN_PACKAGES = {
  'apache2-utils': 'htpasswd, for a test registry with a password',
  'btrfs-progs': 'the Btrfs store',
  bubblewrap: 'a sandbox of user namespaces, to run inside a step',
  'busybox-static': 'the root file system of the tests',
  crun: 'a container runtime',
  'docker-registry': 'a local registry to pull base images from',
  'dpkg-dev': "unpacks the demo's source package",
  e2fsprogs: 'the disks of the virtual machine with OpenZFS',
  mmdebstrap: "makes the demo's Debian base image, and the virtual machine with OpenZFS",
  opam: 'builds in a bubblewrap of its own, inside a step',
  openssl: 'the certificate of the test registry',
  'qemu-system-x86': 'the virtual machine with OpenZFS',
  rsync: 'the rsync store',
  runc: 'the other container runtime',
  skopeo: 'reads images from registries, layouts and archives',
  umoci: 'unpacks images',
  xfsprogs: 'XFS with reflinks, a disk of the tests',
  'zfs-fuse': 'ZFS without a kernel module, for the quick tests of the ZFS store',
};

const NODE_MAJOR = 24;
const NODE_VERSION = '24.21.0';

const root = path.dirname(__dirname);
const tools = path.join(root, '.tools');
const pnpmVersion = require('../package.json').packageManager.replace('pnpm@', '');
const target = `${process.platform}-${process.arch}`;
const ours = {
  node: path.join(tools, 'node_modules', `node-${target}`, 'bin', 'node'),
  pnpm: path.join(tools, 'node_modules', '@pnpm', `exe.${target}`, 'pnpm'),
};

main(process.argv[2], process.argv.slice(3));

function main(job, args) {
  if (job === '--locked') return void prepare();
  const jobs = Object.keys(JOBS);
  if (!jobs.includes(job)) fail(`usage: node scripts/setup.cjs ${jobs.join('|')}`, 2);
  // Looking costs little, so that the second start takes a fraction of a second.
  const missing = missingPackages();
  if (missingTools().length > 0 || (canInstallPackages() && missing.length > 0)) prepareAlone();
  if (!canInstallPackages() && missing.length > 0) reportMissing(missing);
  run(JOBS[job], args);
}

function prepareAlone() {
  const self = spawnAlone([process.execPath, __filename, '--locked'], { stdio: 'inherit' });
  if (self.status !== 0) process.exit(self.status || 1);
}

/** Two set-ups at once would write over each other's files. The kernel gives the lock back if we are killed. */
function spawnAlone(argv, options) {
  fs.mkdirSync(tools, { recursive: true });
  const locked = spawnSync('flock', [path.join(tools, 'set-up.lock')].concat(argv), options);
  return locked.error ? spawnSync(argv[0], argv.slice(1), options) : locked;
}

function prepare() {
  installPackages();
  installTools();
}

function installPackages() {
  const missing = missingPackages();
  if (!canInstallPackages() || missing.length === 0) return;
  say(`Installing from Debian:\n${describe(missing)}`);
  const env = Object.assign({}, process.env, { DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8' });
  const apt = (args) => echo('apt-get', ['-q', '-o', 'DPkg::Lock::Timeout=600'].concat(args), { env });
  if (missing.includes('zfs-fuse')) keepZfsFuseOff();
  // The package lists may be good enough without an update, such as when one of many mirrors is down.
  if (!apt(['update'])) say('apt-get update failed; going on with the package lists that are there.');
  const flags = ['-y', '--no-install-recommends', '-o', 'DPkg::Options::=--force-confold'];
  if (!apt(['install'].concat(flags, missing))) fail('apt-get install failed', 1);
}

/** Its service reads this file: it is started neither now nor at the next boot. The tests start daemons of their own. */
function keepZfsFuseOff() {
  try {
    fs.writeFileSync('/etc/default/zfs-fuse', 'ENABLE_ZFS=no\n', { flag: 'wx' });
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
  }
}

function reportMissing(packages) {
  const why = isDebian() ? 'only root can install them' : 'this machine has no apt-get';
  say(`Going on without these Debian packages (${why}); what needs them says so:\n${describe(packages)}`);
}

function describe(packages) {
  return packages.map((name) => `    ${name.padEnd(16)}${DEBIAN_PACKAGES[name]}`).join('\n');
}

function installTools() {
  const missing = missingTools();
  if (missing.length === 0) return;
  const wanted = `Node ${NODE_MAJOR} and pnpm ${pnpmVersion.split('.')[0]}`;
  const list = missing.map((spec) => `    ${spec}`).join('\n');
  say(`Installing from the npm registry into .tools/, because this project uses ${wanted}:\n${list}`);
  fs.mkdirSync(tools, { recursive: true });
  // A package.json of its own keeps npm from looking for one further up.
  fs.writeFileSync(path.join(tools, 'package.json'), '{ "private": true }\n');
  const flags = ['--no-save', '--no-package-lock', '--ignore-scripts', '--no-audit', '--no-fund'];
  const all = [nodeSpec(), pnpmSpec()].filter((spec) => missing.includes(spec) || isOurs(spec));
  const npm = npmCommand();
  if (
    !echo(npm[0], npm.slice(1).concat(['install', '--loglevel=error', '--prefix', tools], flags, all), {
      cwd: tools,
    })
  ) {
    fail('npm install failed: is the npm registry reachable?', 1);
  }
}

/** `npm run` says which npm it is; its own settings, from the user's and the machine's files, stay in force. */
function npmCommand() {
  const script = process.env.npm_execpath;
  return script && /npm-cli\.js$/.test(script) ? [process.execPath, script] : ['npm'];
}

function run(script, args) {
  const node = machineNodeFits() ? process.execPath : ours.node;
  const dirs = [path.dirname(node), path.dirname(ours.pnpm), process.env.PATH || ''];
  const env = Object.assign({}, process.env, { PATH: dirs.join(path.delimiter) });
  installDependencies(env);
  const child = spawn(node, [path.join(root, script)].concat(args), { stdio: 'inherit', env });
  // We must outlive the child, which has things to unmount; it is told once for each signal that we get.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => fail(`cannot start ${node}: ${error.message}`, 1));
  child.on('exit', (code, signal) => {
    if (signal) process.exitCode = 128 + require('os').constants.signals[signal];
    else process.exitCode = code === null ? 1 : code;
  });
}

/** pnpm finds out in a tenth of a second that there is nothing to do; then it need not be heard. */
function installDependencies(env) {
  const first = !fs.existsSync(path.join(root, 'node_modules', '.modules.yaml'));
  if (first) say('Installing the npm packages of pnpm-lock.yaml into node_modules/');
  const options = { cwd: root, env, stdio: first ? 'inherit' : 'pipe', encoding: 'utf8' };
  const result = spawnAlone(['pnpm', 'install', '--frozen-lockfile', '--reporter=append-only'], options);
  if (result.status === 0) return;
  fail(`pnpm install failed\n${result.stdout || ''}${result.stderr || ''}`, 1);
}

function missingTools() {
  const missing = [];
  if (!machineNodeFits() && !isInstalled(ours.node, NODE_VERSION)) missing.push(nodeSpec());
  if (!isInstalled(ours.pnpm, pnpmVersion) && !machinePnpmFits()) missing.push(pnpmSpec());
  return missing;
}

function nodeSpec() {
  return `node-${target}@${NODE_VERSION}`;
}

function pnpmSpec() {
  return `@pnpm/exe.${target}@${pnpmVersion}`;
}

function isOurs(spec) {
  return fs.existsSync(spec === nodeSpec() ? ours.node : ours.pnpm);
}

function isInstalled(program, version) {
  const manifest = path.join(path.dirname(program).replace(/\/bin$/, ''), 'package.json');
  return fs.existsSync(program) && JSON.parse(fs.readFileSync(manifest, 'utf8')).version === version;
}

function machineNodeFits() {
  return Number(process.versions.node.split('.')[0]) >= NODE_MAJOR;
}

/** Asked outside of the project: inside, another version of pnpm would fetch the one that it is asked for. */
function machinePnpmFits() {
  const result = spawnSync('pnpm', ['--version'], { cwd: '/', encoding: 'utf8' });
  return result.status === 0 && result.stdout.split('.')[0] === pnpmVersion.split('.')[0];
}

function missingPackages() {
  const names = Object.keys(DEBIAN_PACKAGES);
  const query = ['-W', '-f', '${Package} ${db:Status-Status}\n'].concat(names);
  const result = spawnSync('dpkg-query', query, { encoding: 'utf8' });
  const lines = (result.stdout || '').split('\n');
  return names.filter((name) => !lines.includes(`${name} installed`));
}

function canInstallPackages() {
  return isDebian() && process.getuid() === 0;
}

function isDebian() {
  return fs.existsSync('/usr/bin/apt-get');
}

function echo(program, args, options) {
  console.log(`$ ${[path.basename(program)].concat(args).join(' ')}`);
  return spawnSync(program, args, Object.assign({ stdio: 'inherit' }, options)).status === 0;
}

function say(text) {
  console.log(`\n${text}\n`);
}

function fail(message, code) {
  console.error(`set-up: ${message}`);
  process.exit(code);
}
