import { createHash } from 'node:crypto';

/** Files of a step's result below `/d`: path → content, or a digest where it is long. */
export type Tree = Readonly<Record<string, string>>;

export interface Recipe {
  readonly text: string;
  /** What each step of each stage leaves behind, the base image first. The last stage is called `main`. */
  readonly trees: Readonly<Record<string, readonly Tree[]>>;
}

/** The image with settings of its own: what they are shows in what its steps leave behind. */
export const CONFIGURED = 'alpha';
/** The image without. */
export const PLAIN = 'omega';
export const IMAGE_WORD = 'from-the-image';
export const IMAGE_DIRECTORY = '/w';

/** The commands that recipes use. */
export const APPLETS = 'cat dd echo env false head mkdir printf rm sh sleep sync true wc yes'.split(' ');

/** What {@link recipe} copies from the context. */
export const CONTEXT: Tree = { 'sub/b': 'context b\n', a: 'context a\n' };

const SHELL = '(shell /bin/sh -c)';
const CACHE = '(cache (c (target /cache)))';

/**
 * A build with a step of each kind: a stage, a cache, copies from the context and from the stage. Those with the same
 * `family` share the first steps; `name` makes the last ones differ.
 */
export function recipe(name: string, family = 'family'): Recipe {
  const tool = { tool: `tool ${family}\n` };
  const one = { one: `one ${family}\n` };
  const copied = { ...one, 'ctx/a': CONTEXT.a ?? '', 'ctx/sub/b': CONTEXT['sub/b'] ?? '' };
  const fetched = { ...copied, tool: tool.tool };
  const last = {
    ...fetched,
    settings: `${IMAGE_WORD} ${IMAGE_DIRECTORY}\n`,
    all: `${one.one}${tool.tool}${name}\n`,
  };
  const text = `((build tool ((from ${PLAIN}) ${SHELL} (run (shell "mkdir -p /d; echo tool ${family} > /d/tool"))))
    (from ${CONFIGURED}) ${SHELL}
    (run ${CACHE} (shell "mkdir -p /d; echo x >> /cache/x; echo noise; echo one ${family} > /d/one"))
    (copy (src a sub) (dst /d/ctx/))
    (copy (from (build tool)) (src d/tool) (dst /d/))
    (run (shell "echo $WORD $PWD > /d/settings; cat /d/one /d/tool > /d/all; echo ${name} >> /d/all; echo made ${name}")))`;
  return {
    text,
    trees: { tool: [{}, tool], main: [{}, one, copied, fetched, last] },
  };
}

/** A build on the image without settings whose only command is `command`, which leaves `tree` behind. */
export function single(command: string, tree: Tree): Recipe {
  const text = `((from ${PLAIN}) ${SHELL} (run (shell "${command}")))`;
  return { text, trees: { main: [{}, tree] } };
}

/** A build whose last step fails. */
export const FAILING: Recipe = {
  text: `((from ${PLAIN}) ${SHELL} (run (shell "echo on purpose; exit 3")))`,
  trees: { main: [{}] },
};

/** A file's text, or a digest where it is long. */
export function digestOf(content: Uint8Array): string {
  if (content.length <= 200) return Buffer.from(content).toString();
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}
