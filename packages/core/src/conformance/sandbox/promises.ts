/** What `sandboxSuite` checks, in the words of `Sandbox`: a test that fails says one of these after `broken promise: `. */
export const sandboxPromises = {
  possible: "a command can do what it may do in the step's world",
  outcomes:
    'a failure comes back as an `err` with a tag of `SandboxError`; only a log that rejects makes `run` reject',
  usable: 'each run is one of its own: it works after any other, however that ended',
  settles: '`run` settles soon after the command has ended or was aborted, whatever becomes of its streams',
  gone: '`run` settles only once every process it started is gone',
  unmounted: 'every volume is unmounted when `run` or `account` settles',
  leftNothing: 'nothing of a command is left on the host when `run` has settled',
  deadOwner: 'opening a sandbox ends what a dead owner left running, and leaves nothing of it',
  described:
    'a sandbox says what the builder asks for before it runs anything: volumes, how many at once, a shell',

  exited: 'any exit is an answer: `exited` with its code',
  signalled: '`signal` is the name with its prefix, such as SIGKILL',
  notFound: 'a command that does not exist exits with 127, and a line in the log names it',
  notExecutable: 'a command that cannot be executed exits with 126, and a line in the log names it',
  lookup: 'a command is looked up in the `PATH` of `env`, and from `cwd` if its name has a slash',
  argv: '`argv` reaches the command as it is',

  ordered: 'standard output and standard error come in the order in which they were written',
  bytes: 'output is bytes, not text',
  whole:
    'nothing of the output is lost: all of it is in the log when `run` settles, however the command ended',
  oneWrite: 'one chunk is written after the other',
  bounded: 'a slow log slows the command: output is not collected in memory',
  logRejects: '`run` rejects with the reason of a log that rejects',
  noInput: 'without `stdin` a command reads the end at once',
  input: '`stdin` reaches the command as it is, whole, and then its end',

  cancelled: "an aborted `run` answers `cancelled`, with the signal's reason",
  notStarted: 'nothing is started after an abort',
  abortsOne: 'an abort ends one command, and no other',

  limits: 'a limit that `enforces` names holds for a command with all its processes, and the answer names it',
  withinLimits: 'a limit that was not overstepped changes nothing, and is not named',
  enforces: '`enforces` names limits of `ResourceLimits`, each once',

  noNetwork: 'a command with network `none` reaches nobody',
  hostNetwork: "a command with network `host` has the host's",
  loopback: 'loopback works without a network',

  env: '`env` is the whole environment of the command: the sandbox adds nothing',
  user: 'the command runs as `user`, to whom belongs what it makes',
  groups: "the command has the user's groups and no others",
  cwd: '`cwd` is where the command runs, and is made where it does not exist',
  cwdOwner: 'a `cwd` that was made has the owner it should',
  umask: "the host's umask changes no mode",
  openFiles: 'a command may open as many files as the host lets it',

  account: '`account` knows the users of the volumes by name and by number, and nobody else',
  locate: '`locate` agrees with what commands see',
  locateInside: '`locate` names a volume of the layout, and never leads out of it',

  did: 'what the command did, and nothing else, is in the volumes',
  noTrace: 'mount points leave no trace in the volumes, nor in caches',
  unmountable: 'a volume that cannot be mounted is a failure, and no command is started without it',
  noSpace: 'what has no room on a full disk, a volume to mount or a mount point, is answered with `no-space`',
  cache: 'a command sees what is in a cache, and what it does there is in it when `run` settles',
  sharedCache: 'a cache may be given to two commands at once',
  cachePrograms: 'programs in a cache can be run',
  readOnly: 'a read-only cache can be read, and cannot be written',
  nested: 'a cache may lie in another, whatever the order of the request',
  hidden: 'what lies at a target is hidden while the command runs, and unharmed',
  targets: 'a target may have any name',

  secretOwn: 'a secret can be read by the user of the command only, and written by nobody',
  secretWhole: 'secrets are whole, whatever bytes they are',
  secretGone: 'a secret is there for one command only, and leaves no trace in volumes or caches',
  secretKept: 'a secret is on no disk, on no command line and in no environment',

  apart: 'commands that run at once do not see, signal or share memory with each other, nor with the host',
  concurrency: "as many commands run at once as `concurrency` says, and none gets in another's way",

  inside: 'no path of a request, and nothing that is open here, leads a command to the host',
  teardown: 'teardown touches nothing of the host',
  hostUnchanged: 'a command changes nothing of the host',
  rights: 'a program has no more rights than its user',
} as const;

export type SandboxPromise = (typeof sandboxPromises)[keyof typeof sandboxPromises];
