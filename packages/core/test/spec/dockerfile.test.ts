import { describe, expect, it } from 'vitest';
import {
  cache,
  comment,
  copy,
  type DockerfileOptions,
  env,
  type Op,
  run,
  type Spec,
  secret,
  shell,
  spec,
  stage,
  toDockerfile,
  user,
  workdir,
} from '../../src/spec/index.ts';

const project = spec(
  'debian:12',
  stage(
    'Build it',
    spec(
      'docker://gcc:14',
      comment('the tool,\nfrom its sources'),
      workdir('/src dir'),
      copy('.', './', { exclude: ['.git', '_build'] }),
      run('set -e\n\n# all of it\nmake', { caches: [cache('ccache', '/cache')] }),
    ),
  ),
  shell('/bin/bash', '-ec'),
  run('apt-get update', { network: ['host'], secrets: [secret('apt', '/etc/apt/auth.conf')] }),
  user({ uid: 1000, gid: 100 }),
  env('GREETING', 'say "hi" to $USER \\o/'),
  copy(['bin', 'a b'], '/opt/', { from: 'Build it' }),
  run('make install', { caches: [cache('c', '/c', { buildkitOptions: [['sharing', 'shared']] })] }),
);

describe('a Dockerfile for BuildKit', () => {
  it('has all that BuildKit can say', () => {
    const { text, lost } = toDockerfile(project, {
      buildkit: true,
      defaultShell: ['/usr/bin/env', 'bash', '-c'],
    });
    expect(text).toBe(`# syntax=docker/dockerfile:1

FROM gcc:14 AS build-it
SHELL ["/usr/bin/env", "bash", "-c"]
# the tool,
# from its sources
WORKDIR "/src dir"
COPY --exclude=**/.git --exclude=**/_build . ./
RUN --network=none --mount=type=cache,id=ccache,target=/cache,sharing=locked <<EOF
set -e

# all of it
make
EOF

FROM debian:12
SHELL ["/bin/bash", "-ec"]
RUN --mount=type=secret,id=apt,target=/etc/apt/auth.conf,required=true apt-get update
USER 1000:100
ENV GREETING="say \\"hi\\" to \\$USER \\\\o/"
COPY --chown=1000:100 --from=build-it bin /opt/bin
COPY --chown=1000:100 --from=build-it ["a b", "/opt/a b"]
RUN --network=none --mount=type=cache,id=c,target=/c,uid=1000,gid=100,sharing=shared make install
`);
    expect(lost).toEqual([
      `(run (shell "apt-get update") (network host) (secrets (apt (target /etc/apt/auth.conf)))): Docker gives it its default network, not the host's own`,
    ]);
  });
});

describe('a plain Dockerfile', () => {
  it('keeps lines of commands apart, and lists what it cannot say', () => {
    const { text, lost } = toDockerfile(project);
    expect(text).toBe(`FROM gcc:14 AS build-it
# the tool,
# from its sources
WORKDIR "/src dir"
COPY . ./
RUN ["/bin/sh", "-c", "set -e\\n\\n# all of it\\nmake"]

FROM debian:12
SHELL ["/bin/bash", "-ec"]
RUN apt-get update
USER 1000:100
ENV GREETING="say \\"hi\\" to \\$USER \\\\o/"
COPY --chown=1000:100 --from=build-it bin /opt/bin
COPY --chown=1000:100 --from=build-it ["a b", "/opt/a b"]
RUN make install
`);
    const make = '(run (shell "set -e\\n\\n# all of it\\nmake") (cache (ccache (target /cache))))';
    const apt = '(run (shell "apt-get update") (network host) (secrets (apt (target /etc/apt/auth.conf))))';
    const install =
      '(run (shell "make install") (cache (c (target /c) (buildkit_options ((sharing shared))))))';
    expect(lost).toEqual([
      '(copy (src .) (dst ./) (exclude .git _build)): nothing is excluded',
      `${make}: no shell is named, so Docker's own runs the command`,
      `${make}: Docker gives it a network`,
      `${make}: the caches are left out`,
      `${apt}: Docker gives it its default network, not the host's own`,
      `${apt}: the secrets are left out`,
      `${install}: Docker gives it a network`,
      `${install}: the caches are left out`,
    ]);
  });

  it('has the back quote of Windows as its escape character if asked', () => {
    const windows = spec(
      'mcr.microsoft.com/windows/nanoserver:ltsc2022',
      env('A', 'C:\\dir $X `"'),
      workdir('C:\\my dir'),
    );
    expect(toDockerfile(windows, { escape: '`' }).text).toBe(
      '# escape=`\n\nFROM mcr.microsoft.com/windows/nanoserver:ltsc2022\nENV A="C:\\dir `$X ```""\nWORKDIR "C:\\my dir"\n',
    );
  });
});

describe('an instruction', () => {
  const sh = shell('/bin/sh', '-c');
  /** What is written behind `FROM`, and behind `SHELL` if there is one. */
  const written = (ops: Op | readonly Op[], options: DockerfileOptions = {}): string =>
    toDockerfile(spec('a', ...[ops].flat()), options).text.replace(/^(# .*\n\n)?FROM a\n(SHELL .*\n)?/, '');

  it.each([
    [
      'of one line as it is',
      'make && echo "a\tb" \'c\' $HOME # d',
      'RUN make && echo "a\tb" \'c\' $HOME # d\n',
    ],
    ['with a here-document', 'cat <<EOF', 'RUN ["/bin/sh", "-c", "cat <\\u003cEOF"]\n'],
    ['with a bracket first', '[ -e x ] || y', 'RUN ["/bin/sh", "-c", "[ -e x ] || y"]\n'],
    ['with dashes first', '--x', 'RUN ["/bin/sh", "-c", "--x"]\n'],
    ['with a continuation last', 'a \\', 'RUN ["/bin/sh", "-c", "a \\\\"]\n'],
    ['with blanks around it', ' a ', 'RUN ["/bin/sh", "-c", " a "]\n'],
    ['without a word', '', 'RUN ["/bin/sh", "-c", ""]\n'],
    ['of several lines', 'a\n\n  # b\nc\n', 'RUN ["/bin/sh", "-c", "a\\n\\n  # b\\nc\\n"]\n'],
  ])('runs a command %s', (_, command, expected) => {
    expect(written([sh, run(command)])).toBe(expected);
  });

  it.each([
    ['whose lines are also its end', 'EOF\nEOF2\nx', 'RUN --network=none <<EOF3\nEOF\nEOF2\nx\nEOF3\n'],
    ['that names its interpreter', '#!/bin/sh\nx', 'RUN --network=none ["/bin/sh", "-c", "#!/bin/sh\\nx"]\n'],
    ['with a continuation last', 'a\nb \\', 'RUN --network=none ["/bin/sh", "-c", "a\\nb \\\\"]\n'],
    ['with carriage returns', 'a\r\nb', 'RUN --network=none ["/bin/sh", "-c", "a\\r\\nb"]\n'],
    ['with a line break last', 'a\nb\n', 'RUN --network=none <<EOF\na\nb\nEOF\n'],
  ])('runs a command of several lines %s with BuildKit', (_, command, expected) => {
    expect(written([sh, run(command)], { buildkit: true })).toBe(expected);
  });

  it('runs a program without a shell where the spec has an empty one', () => {
    expect(written([shell(), run('/bin/my tool')])).toBe('RUN ["/bin/my tool"]\n');
  });

  it.each([
    ['a name with brackets and stars', copy('x[0]*?', '/d/'), 'COPY ["x[[]0][*][?]", "/d/x[0]*?"]\n'],
    [
      'a name with a dollar, a quote and a backslash',
      copy('$a"b\\c', 'd'),
      'COPY ["\\\\$a\\\\\\"b\\\\\\\\\\\\\\\\c", "d"]\n',
    ],
    ['a path with dots and slashes', copy('/a/./b//c/', 'd/'), 'COPY a/b/c d/c\n'],
    ['the whole context into a directory', copy('/', 'd/'), 'COPY . d/\n'],
    ['a directory as another', copy('a', '/b'), 'COPY a /b\n'],
    ['a name like a flag', copy('--x', '/d/'), 'COPY ["--x", "/d/--x"]\n'],
    ['a name like a here-document', copy('<<EOF', '/d/'), 'COPY ["<\\u003cEOF", "/d/<\\u003cEOF"]\n'],
    ['a name in another alphabet', copy('日本', '/d/'), 'COPY ["日本", "/d/日本"]\n'],
  ])('copies %s', (_, op, expected) => {
    expect(written(op)).toBe(expected);
  });

  it('gives what it copies to the user, but not to root', () => {
    expect(written([user('bob'), copy('a', 'b')])).toBe('USER bob\nCOPY --chown=bob a b\n');
    expect(written([user({ uid: 0, gid: 0 }), copy('a', 'b')])).toBe('USER 0:0\nCOPY a b\n');
    expect(written([user('root'), copy('a', 'b')])).toBe('USER root\nCOPY a b\n');
  });

  it('is left out, and listed, where it would hold a line break', () => {
    const { text, lost } = toDockerfile(spec('a', env('A', 'b\nc'), workdir('d\ne')));
    expect(text).toBe('FROM a\n');
    expect(lost).toEqual([
      '(env A "b\\nc"): ENV cannot hold a line break, so it is left out',
      '(workdir "d\\ne"): WORKDIR cannot hold a line break, so it is left out',
    ]);
  });

  it('says what flags cannot hold', () => {
    const ops = [
      sh,
      run('x', { caches: [cache('a b', '/a'), cache('ä', '/b'), cache('c', '/c,d')] }),
      copy('a', 'b', { exclude: ['x y', 'a'] }),
    ];
    const { text, lost } = toDockerfile(spec('a', ...ops), { buildkit: true });
    expect(text).toContain('\nRUN --network=none x\nCOPY a b\n');
    expect(lost.map((line) => line.replace(/^.*\): /, ''))).toEqual([
      'the cache "a b" is left out: a flag cannot hold every character',
      'the cache "ä" is left out: a flag cannot hold every character',
      'the cache "c" is left out: a flag cannot hold every character',
      '"x y" is not excluded: a flag cannot hold every character',
      '"a" is not excluded: Docker would leave out the source of that name too',
    ]);
  });

  it('says which patterns mean something else to Docker', () => {
    const excluded = (...exclude: string[]) => {
      const { text, lost } = toDockerfile(spec('a', copy('src/x.o', 'b', { exclude })), { buildkit: true });
      return [text.split('\n').at(-2), ...lost.map((line) => line.replace(/^.*\): /, ''))];
    };
    expect(excluded('*.log', '/top', 'a/**', '**/b/c?', '*.[ch]')).toEqual([
      'COPY --exclude=**/*.log --exclude=top --exclude=a/** --exclude=**/b/c? --exclude=**/*.[ch] src/x.o b',
    ]);
    expect(excluded('*.o', 'd/', 'a**b', '[!a]', 'a\\*')).toEqual([
      'COPY src/x.o b',
      '"*.o" is not excluded: Docker would leave out the source of that name too',
      '"d/" is not excluded: Docker would leave out files of that name too',
      '"a**b" is not excluded: Docker takes "**" for directories everywhere',
      '"[!a]" is not excluded: a flag cannot hold every character',
      '"a\\\\*" is not excluded: a flag cannot hold every character',
    ]);
    expect(excluded('*', '!keep')).toEqual([
      'COPY src/x.o b',
      'nothing is excluded: Docker also takes back what is in a directory that is left out',
    ]);
  });

  it('quotes a base image that Docker would read as something else', () => {
    expect(toDockerfile(spec('a$b\\')).text).toBe('FROM "a\\$b\\\\"\n');
  });

  it('takes no blanks of a base image', () => {
    const { text, lost } = toDockerfile(spec('a b'));
    expect(text).toBe('FROM a_b\n');
    expect(lost).toEqual(['(from "a b"): FROM takes no blanks, so they are replaced']);
  });

  it('says that a base image is not one of a registry', () => {
    expect(toDockerfile(spec('oci:/images/a')).lost).toEqual([
      '(from oci:/images/a): FROM takes images from registries only',
    ]);
  });
});

describe('stages', () => {
  const names = (spec: Spec): string[] =>
    [...toDockerfile(spec).text.matchAll(/^FROM .*$/gm)].map(([line]) => line);

  it('have names of their own, which no base image has', () => {
    const build = (from: string): Spec => spec(from);
    expect(
      names(
        spec(
          'Debian',
          stage('x', build('a')),
          stage('X', build('b')),
          stage('debian', build('c')),
          stage('1ü', build('d')),
          stage('scratch', build('e')),
        ),
      ),
    ).toEqual([
      'FROM a AS x',
      'FROM b AS x-2',
      'FROM c AS debian-2',
      'FROM d AS stage-1-',
      'FROM e AS scratch-2',
      'FROM Debian',
    ]);
  });

  it('copy from the stage that the spec means, where two have the same name', () => {
    const inner = spec('i', stage('s', spec('one')), copy('f', '/', { from: 's' }));
    const outer = spec('o', stage('s', spec('zero')), stage('t', inner), copy('g', '/', { from: 's' }));
    expect(toDockerfile(outer).text.match(/^(FROM|COPY).*$/gm)).toEqual([
      'FROM zero AS s',
      'FROM one AS s-2',
      'FROM i AS t',
      'COPY --from=s-2 f /f',
      'FROM o',
      'COPY --from=s g /g',
    ]);
  });
});
