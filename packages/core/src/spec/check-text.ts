/** A rule that is broken, and the place in the spec, such as `stages[0].spec.ops[2]`. */
export interface Finding {
  readonly path: string;
  readonly message: string;
}

/** What holds for every text of a spec. `what` names it in a message and is given where it may not be empty. */
export function* checkText(
  text: string,
  { path, what }: { path: string; what?: string },
): Generator<Finding> {
  if (what !== undefined && text === '') yield { path, message: `${what} is empty` };
  if (text.includes('\0')) yield { path, message: 'a text may not contain the NUL character' };
  if (!text.isWellFormed()) yield { path, message: 'half of a surrogate pair is not a character' };
}

export function* checkTexts(
  texts: readonly string[],
  { path, what }: { path: string; what?: string },
): Generator<Finding> {
  for (const [index, text] of texts.entries()) {
    yield* checkText(text, { path: `${path}[${index}]`, ...(what === undefined ? {} : { what }) });
  }
}
