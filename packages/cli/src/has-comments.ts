/** A string, the start of a comment, or any other character. A `#` or `|` inside a word starts nothing. */
const TOKEN = /"(?:\\.|[^"\\])*"|;|#;|#\||./gs;

/** Whether a spec that parses has comments of the S-expression kind, which its tree does not keep. */
export function hasComments(text: string): boolean {
  return text.match(TOKEN)?.some((token) => token === ';' || token === '#;' || token === '#|') ?? false;
}
