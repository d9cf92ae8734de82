// For people, when there is no conversation to say it in.
import { writeSync } from 'node:fs'

/** Tells people something on the real stderr, past all capturing. */
export function complain(text: string): void {
  try {
    writeSync(2, `stepweave: ${text}\n`)
  } catch {
    // Nobody is there to read it.
  }
}
