import { describe, expect, it } from 'vitest';
import { type Case, told } from './told.ts';

const runErrors: readonly Case[] = [
  ['((from a) (run))', '1:11 (run ...) lacks the field "shell"'],
  ['((from a) (run make))', '1:16 here belongs a list, such as (shell "make"), not the text "make"'],
  ['((from a) (run (shell)))', '1:16 (shell COMMAND) takes exactly one text, not 0'],
  ['((from a) (run (shell a b)))', '1:16 (shell COMMAND) takes exactly one text, not 2'],
  ['((from a) (run (shell a) (shell b)))', '1:27 (run ...) has the field "shell" twice'],
  [
    '((from a) (run (comand a)))',
    '1:17 (run ...) has no field "comand"; it has cache, network, secrets and shell',
  ],
  ['((from a) (run (caches) (shell a)))', '1:17 (run ...) has no field "caches": did you mean "cache"?'],
  [
    '((from a) (run (network none) (shell x)))',
    '1:25 there is no network "none": a run has (network host) or none at all',
  ],
  ['((from a) (run (network host host) (shell x)))', '1:30 the network "host" is named twice'],
  ['((from a) (run (cache apt) (shell x)))', '1:23 an entry is written (ID (target PATH)), not "apt"'],
  [
    '((from a) (run (cache ((target /x))) (shell x)))',
    '1:24 an entry is written (ID (target PATH)): it starts with its id',
  ],
  ['((from a) (run (cache (apt)) (shell x)))', '1:23 the entry "apt" lacks (target PATH)'],
  [
    '((from a) (run (cache (apt (traget /x))) (shell x)))',
    '1:29 an entry has no field "traget": did you mean "target"?',
  ],
  [
    '((from a) (run (cache (apt (target /x) (target /y))) (shell x)))',
    '1:41 an entry has the field "target" twice',
  ],
  ['((from a) (run (cache (apt (target ""))) (shell x)))', '1:36 the target of a cache is empty'],
  ['((from a) (run (secrets ("" (target /x))) (shell x)))', '1:26 the id of a secret is empty'],
  [
    '((from a) (run (cache (apt (target /x/.././))) (shell x)))',
    '1:36 nothing can be mounted on the root directory',
  ],
  [
    `((from a) (run (cache (${'A'.repeat(80)} (target /x))) (shell x)))`,
    `1:24 the id of the cache "${'A'.repeat(60)}…" is too long for a file name`,
  ],
  [
    '((from a) (run (cache ("a\\000" (target /x))) (shell x)))',
    '1:24 a text may not contain the NUL character',
  ],
  [
    '((from a) (run (cache (a (target /x)) (b (target /x/./))) (shell x)))',
    '1:50 two mounts of this run have the target "/x/./"',
  ],
  [
    '((from a) (run (cache (a (target /x))) (secrets (b (target //x))) (shell x)))',
    '1:60 two mounts of this run have the target "//x"',
  ],
  [
    '((from a) (workdir /w) (run (cache (a (target /w/x)) (b (target x))) (shell x)))',
    '1:65 two mounts of this run have the target "x"',
  ],
  [
    '((from a) (run (secrets (a (target /x) (buildkit_options (mode 1)))) (shell x)))',
    '1:59 options are written (buildkit_options ((KEY VALUE) ...))',
  ],
  [
    '((from a) (run (secrets (a (target /x) (buildkit_options ((target /y))))) (shell x)))',
    '1:59 the option "target" may not be given: the entry itself says it',
  ],
  [
    '((from a) (run (secrets (a (target /x) (buildkit_options ((Mode 1))))) (shell x)))',
    '1:59 the key of an option has small letters and dashes only, not "Mode"',
  ],
];

const copyErrors: readonly Case[] = [
  ['((from a) (copy a b))', '1:17 here belongs a list, such as (src FILE), not the text "a"'],
  ['((from a) (copy (src a)))', '1:11 (copy ...) lacks the field "dst"'],
  ['((from a) (copy (dst a)))', '1:11 (copy ...) lacks the field "src"'],
  ['((from a) (copy (src) (dst /)))', '1:17 a copy needs at least one source'],
  ['((from a) (copy (src a) (dst "")))', '1:30 the destination of a copy is empty'],
  ['((from a) (copy (src a b) (dst /c)))', '1:32 several sources need a directory to go to: write "/c/"'],
  ['((from a) (copy (src ../a) (dst /)))', '1:22 the source "../a" may not contain ".."'],
  ['((from a) (copy (src a\n b/../c) (dst /)))', '2:2 the source "b/../c" may not contain ".."'],
  [
    '((from a) (copy (src a) (dst /) (excludes b)))',
    '1:34 (copy ...) has no field "excludes": did you mean "exclude"?',
  ],
  ['((from a) (copy (src a) (dst /) (exclude "")))', '1:42 a pattern to exclude is empty'],
  [
    '((from a) (copy (from x) (src a) (dst /)))',
    '1:23 the source of a copy is written (from context) or (from (build NAME)), not "x"',
  ],
  [
    '((from a) (copy (from (build)) (src a) (dst /)))',
    '1:23 the source of a copy is written (from context) or (from (build NAME))',
  ],
  [
    '((from a) (copy (from (stage x)) (src a) (dst /)))',
    '1:23 the source of a copy is written (from context) or (from (build NAME))',
  ],
  [
    '((from a) (copy (from (build x)) (src a) (dst /)))',
    '1:30 no stage before this copy is named "x"; there is none',
  ],
  [
    '((build dev ((from a)))\n (from b)\n (copy (from (build dve)) (src a) (dst /)))',
    '3:21 no stage before this copy is named "dve": did you mean "dev"?',
  ],
  [
    '((build one ((from a))) (build two ((from a))) (from b) (copy (from (build three)) (src a) (dst /)))',
    '1:76 no stage before this copy is named "three"; there is "one" and "two"',
  ],
  [
    '((build x ((build inner ((from a))) (from a))) (from b) (copy (from (build inner)) (src a) (dst /)))',
    '1:76 no stage before this copy is named "inner"; there is "x"',
  ],
  [
    '((build x ((from a) (copy (from (build y)) (src a) (dst /)))) (build y ((from a))) (from b))',
    '1:40 no stage before this copy is named "y"; there is none',
  ],
  [
    '((build x ((from a) (copy (from (build x)) (src a) (dst /)))) (from b))',
    '1:40 no stage before this copy is named "x"; there is none',
  ],
];

describe('an error in a run', () => {
  it.each(runErrors)('of %j is told in full', (text, error) => {
    expect(told(text)).toBe(error);
  });
});

describe('an error in a copy', () => {
  it.each(copyErrors)('of %j is told in full', (text, error) => {
    expect(told(text)).toBe(error);
  });
});
