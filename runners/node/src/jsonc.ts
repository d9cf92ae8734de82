// JSON with comments and trailing commas, as tsconfig files have them.

/** The value of JSON with comments. Throws SyntaxError as JSON.parse does. */
export function parseJsonc(text: string): unknown {
  return JSON.parse(plain(text.replace(/^\uFEFF/, '')))
}

/** The same text with comments blanked out and trailing commas removed; texts are left alone. */
function plain(text: string): string {
  const tokens =
    /"(?:[^"\\\n]|\\.)*"|\/\/[^\n]*|\/\*[^]*?\*\/|,(?=(?:\s|\/\/[^\n]*|\/\*[^]*?\*\/)*[}\]])/g
  return text.replace(tokens, (token) =>
    token.startsWith('"') ? token : token.replace(/[^\n]/g, ' '),
  )
}
