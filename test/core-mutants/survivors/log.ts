import type { Survivors } from './survivor.ts';

const ONLY_FOR_TYPES = 'For the types alone: what is tested is always so there.';

export const LOG: Survivors = {
  'log/masked-log.ts': [
    {
      within: 'SecretMask.#read',
      names: ['0 → 1'],
      why: 'Only differences of offsets matter, and of no bytes at all none are told.',
    },
    {
      within: 'SecretMask.#add',
      names: ['last.end >= start → last.end > start'],
      why: 'Ranges that touch have one mask as well.',
    },
  ],
  'log/live-log.ts': [
    {
      within: 'LiveLog.#extend',
      names: ['position: this.#length, → ∅'],
      why: 'Without a position the file goes on at its own, which is the same: only this method moves it.',
    },
    {
      within: 'LiveLog.#openTail',
      names: [
        'await writeAt(await this.#openHead(), note, { position: this.#length }) → writeAt(await this.#openHead(), note, { position: this.#length })',
      ],
      why: 'The file of the tail is made after it, which takes longer.',
    },
    {
      within: 'LiveLog.#openTail',
      names: ['false → undefined'],
      why: 'Only whether it is true is asked.',
    },
    {
      within: 'LiveLog.#finish',
      names: ['this.#file === undefined && this.#options.isNewest() → this.#file === undefined'],
      why: 'Only one descriptor that is missing for an attempt, and is there again for the next, would show it.',
    },
    {
      within: 'LiveLog.#join',
      names: [
        '(await tail.textStart(tail.start, this.#near)) ?? tail.start → await tail.textStart(tail.start, this.#near)',
        'chunk === undefined → false',
      ],
      why: 'Nothing is written while a log is ended, so nothing of it is overwritten.',
    },
    {
      within: 'LiveLog.#join',
      names: [
        'this.#length > this.#headLength → true',
        'this.#length > this.#headLength → this.#length >= this.#headLength',
      ],
      why: 'The first write behind the beginning has the room of the note: only a disk that copies on write refuses it.',
    },
    {
      within: 'LiveLog.#join',
      names: ['await this.#file?.truncate(this.#length) → this.#file?.truncate(this.#length)'],
      why: 'It is done before anybody reads: the file is closed, or opened, after it.',
    },
    {
      within: 'LiveLog.#join',
      names: ['this.#file?.truncate(this.#length) → this.#file.truncate(this.#length)'],
      why: ONLY_FOR_TYPES,
    },
    {
      within: 'LiveLog.#watch',
      names: ['next.chunk.at(-1) ?? lastByte → next.chunk.at(-1)'],
      why: ONLY_FOR_TYPES,
    },
    {
      within: 'LiveLog.#next',
      names: [
        'offset < 0 || !tail → offset < 0',
        'tail?.textStart(this.#resumeAt(tail), this.#near) → tail.textStart(this.#resumeAt(tail), this.#near)',
      ],
      why: ONLY_FOR_TYPES,
    },
    {
      within: 'LiveLog.#next',
      names: ['start === undefined → false'],
      why: 'Half of the tail would have to be overwritten between two reads.',
    },
    { within: 'LiveLog.#chunk', names: ['this.#file === undefined → false'], why: ONLY_FOR_TYPES },
    {
      within: 'LiveLog.#change',
      names: ['signal → true'],
      why: '`once` takes a signal that is undefined for none.',
    },
    {
      within: 'LiveLog.#closeIfDone',
      names: ['!this.#isEnded || this.#readers > 0 || this.#isClosed → !this.#isEnded || this.#readers > 0'],
      why: 'A file handle that is closed a second time stays closed.',
    },
    {
      within: 'LiveLog.#closeIfDone',
      names: [
        'await closeFile(this.#file) → closeFile(this.#file)',
        'await this.#tail?.close() → this.#tail?.close()',
      ],
      why: 'The system closes a file within microseconds, before anybody could look.',
      isRace: true,
    },
    {
      within: 'unwritable',
      names: [
        "!(error instanceof Error && 'syscall' in error) → false",
        "error instanceof Error && 'syscall' in error → error instanceof Error || 'syscall' in error",
        "error instanceof Error && 'syscall' in error → error instanceof Error",
        "error instanceof Error && 'syscall' in error → 'syscall' in error",
      ],
      why: 'What is no error of the system would be a bug, and none is known.',
    },
  ],
  'log/log-tail.ts': [
    {
      within: 'LogTail.write',
      names: ['await writeAt(this.#file, part, { position }) → writeAt(this.#file, part, { position })'],
      why: 'Who reads the bytes asks for them later than they are written, by one round of the event loop.',
      isRace: true,
    },
    {
      within: 'LogTail.#claimed',
      names: ['0 → 1'],
      why: 'The first write makes it at least that, and before there is nothing to read.',
    },
    {
      within: 'LogTail.#beginning',
      names: ['second && Buffer.concat([first, second]) → Buffer.concat([first, second])'],
      why: 'Only what is overwritten between these two reads, and not before the first, would show it.',
    },
    {
      within: 'LogTail.close',
      names: ['await closeFile(this.#file) → closeFile(this.#file)'],
      why: 'The system closes a file within microseconds, before anybody could look.',
      isRace: true,
    },
  ],
  'log/step-logs.ts': [
    {
      within: 'StepLogs.begin',
      names: ['this.#onEnded?.(key, bytes) → this.#onEnded(key, bytes)'],
      why: 'What is thrown there is caught, and only told to who debugs.',
    },
    {
      within: 'fileAt',
      names: ["'' → 'mutant'"],
      why: 'A text that is split has a first part, whatever it is.',
    },
  ],
};
