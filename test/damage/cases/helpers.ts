import { access, chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import type { CaseReport, CaseScene, DamageCase } from '../case.ts';
import { PLAIN, recipe } from '../recipes.ts';
import { copyOf, FIRST, type Template } from '../template.ts';
import { Trial } from '../trial.ts';

/** Programs of the host that a builder may start. */
const PROGRAMS =
  'btrfs cat chattr cp crun find findmnt flock getcap mkfifo mount mv rm rsync runc setpriv skopeo sync tar touch umoci umount'.split(
    ' ',
  );

/** What a program does instead of its work. */
const ENDS: Readonly<Record<string, string>> = {
  'killed-before': 'kill -9 $$',
  'killed-after': '"$real" "$@"; kill -9 $$',
  'killed-in-the-middle': '"$real" "$@" & sleep 0.005; kill -9 $!; kill -9 $$',
  'fails-silently': 'exit 1',
};

/** Each of the programs that a builder starts comes to such an end, one after the other. */
export function helperCases(templates: readonly Template[]): readonly DamageCase[] {
  return templates.flatMap((template, i) =>
    Object.keys(ENDS).map((end, j) => ({
      name: `helper:${end}:${template.store}`,
      kind: `helper ${end}`,
      class: template.store,
      isStandard: j % templates.length === i,
      run: (scene: CaseScene) => run(end, { ...scene, template }),
    })),
  );
}

async function run(
  end: string,
  { bench, worker, template }: CaseScene & { readonly template: Template },
): Promise<CaseReport> {
  await using shims = await makeShims(
    join(bench.directory, `shims-${template.store}-${end}`),
    ENDS[end] ?? '',
  );
  await worker.renew({ PATH: `${shims.path}${delimiter}${process.env.PATH}` });
  const trial = new Trial(bench, { worker, known: template.known });
  {
    await using disk = await copyOf(template, bench.directory);
    const place = bench.place(template.store, { store: disk.path });
    await trial.open(place, { must: 'a good disk' });
    await everything(trial, 'rehearsal');
    for (const program of await shims.used()) {
      for (const skipped of [0, 3]) {
        await shims.choose(program, skipped);
        await everything(trial, `${program} ${skipped}`);
        await shims.choose('', 0);
        await trial.build(FIRST, { must: `${program} works again` });
        if (trial.hasDied) await trial.open(place, { must: 'a builder that has died is opened again' });
      }
    }
    await trial.audit();
    await trial.ask({ do: 'close' });
    for (const program of await shims.used()) {
      await shims.choose(program, 0);
      if (await trial.open(place)) await trial.ask({ do: 'close' });
    }
    await shims.choose('', 0);
    await trial.open(place, { must: 'all programs work again' });
    await trial.build(FIRST, { must: 'all programs work again' });
    await trial.audit();
    await trial.ask({ do: 'close' });
    const left = trial.hasDied ? undefined : await disk.unmount();
    if (left !== undefined) trial.find('left', left);
  }
  await worker.renew();
  return { findings: trial.findings, told: trial.told };
}

/** From a new base image to a pruned store, so that all programs are started that ever are. */
async function everything(trial: Trial, name: string): Promise<void> {
  await trial.ask({ do: 'prune' });
  await trial.build(recipe(name, `family ${name}`));
  await trial.ask({ do: 'healthcheck', image: PLAIN });
  await trial.ask({ do: 'usage' });
  await trial.ask({ do: 'prune', limit: 1 });
}

interface Shims extends AsyncDisposable {
  readonly path: string;
  /** The programs that were started so far. */
  used(): Promise<readonly string[]>;
  /** Whose next start, after so many, ends otherwise. */
  choose(program: string, skipped: number): Promise<void>;
}

/** A directory for the front of a `PATH`, with a program for each of those that are there. */
async function makeShims(path: string, end: string): Promise<Shims> {
  await mkdir(path);
  const [victim, log] = [join(path, '.victim'), join(path, '.log')];
  await writeFile(victim, '\n');
  await writeFile(log, '');
  for (const program of PROGRAMS) {
    const real = await find(program);
    if (real === undefined) continue;
    const script = `#!/bin/sh
real=${real}
echo ${program} >> ${log}
read name skipped < ${victim}
if [ "$name" = ${program} ]; then
  if [ "$skipped" = 0 ]; then echo > ${victim}; ${end}; fi
  echo ${program} $((skipped - 1)) > ${victim}
fi
exec "$real" "$@"
`;
    await writeFile(join(path, program), script);
    await chmod(join(path, program), 0o755);
  }
  return {
    path,
    used: async () => [...new Set((await readFile(log, 'utf8')).split('\n').filter((line) => line !== ''))],
    choose: (program, skipped) => writeFile(victim, `${program} ${skipped}\n`),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}

async function find(program: string): Promise<string | undefined> {
  for (const directory of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(directory, program);
    if (
      await access(path).then(
        () => true,
        () => false,
      )
    )
      return path;
  }
  return undefined;
}
