import { type Check, fine, notApplicable, problem, warning } from '../check.ts';
import type { Scene } from '../scene.ts';

interface Tool {
  readonly name: string;
  readonly args: readonly string[];
  /** Why it is not needed here; undefined if it is. */
  readonly whyNot: (scene: Scene) => string | undefined;
  readonly lack: 'problem' | 'warning';
  readonly neededFor: string;
}

const noContainers = ({ sandbox, runtime }: Scene): string | undefined =>
  sandbox === 'runc' && runtime !== 'runc' ? undefined : 'it is not what runs steps here';
const noRegistry = ({ sandbox }: Scene): string | undefined =>
  sandbox === 'runc' ? undefined : 'base images are the store’s own';
const onlyFor =
  (kind: Scene['store']['kind']) =>
  ({ store }: Scene): string | undefined =>
    store.kind === kind ? undefined : `the store is of the kind ${store.kind}`;

const TOOLS: readonly Tool[] = [
  {
    name: 'crun',
    args: ['--version'],
    whyNot: noContainers,
    lack: 'warning',
    neededFor: 'steps that start three times faster than with runc',
  },
  { name: 'skopeo', args: ['--version'], whyNot: noRegistry, lack: 'warning', neededFor: 'base images' },
  { name: 'umoci', args: ['--version'], whyNot: noRegistry, lack: 'warning', neededFor: 'base images' },
  { name: 'rsync', args: ['--version'], whyNot: onlyFor('rsync'), lack: 'problem', neededFor: 'this store' },
  { name: 'btrfs', args: ['--version'], whyNot: onlyFor('btrfs'), lack: 'problem', neededFor: 'this store' },
];

/** The package of Debian, where it is not called as the program is. */
const PACKAGES: Readonly<Record<string, string>> = { btrfs: 'btrfs-progs' };

/** One check for each program that is needed only here and there. */
export const tools: readonly Check[] = TOOLS.map((tool) => ({
  name: tool.name,
  async look(scene) {
    const reason = tool.whyNot(scene);
    if (reason !== undefined) return notApplicable(reason);
    const answer = await scene.ask(tool.name, tool.args);
    if (answer?.exitCode === 0) return fine(answer.stdout.split('\n')[0]?.trim() ?? tool.name);
    const what = answer
      ? `does not start: ${answer.stderr.trim()}`
      : `is not installed; it is for ${tool.neededFor}`;
    const found = {
      found: `${tool.name} ${what}`,
      mend: `apt-get install ${PACKAGES[tool.name] ?? tool.name}`,
    };
    return tool.lack === 'problem' ? problem(found.found, found.mend) : warning(found.found, found.mend);
  },
}));
