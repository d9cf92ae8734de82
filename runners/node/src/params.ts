// Fields of requests that must be there.
import { invalidParams } from './errors'
import type { Params } from './peer'

/** A text that is not empty. Throws invalid_params. */
export function text(params: Params, method: string, name: string): string {
  const value = params[name]
  if (typeof value === 'string' && value !== '') return value
  throw invalidParams(`${method}: "${name}" must be a text`)
}

/** A number that is not negative. Throws invalid_params. */
export function whole(params: Params, method: string, name: string): number {
  const value = params[name]
  if (typeof value === 'number' && value >= 0) return value
  throw invalidParams(`${method}: "${name}" must be a number`)
}
