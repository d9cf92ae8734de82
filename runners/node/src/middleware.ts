// Functions around a handler: (input, context, next) => result of next, or a result of their own.
import type { Context } from './context'
import { ApiRequest } from './request'

export type Handler = (input: unknown, context?: Context) => unknown

export type Middleware = (
  input: unknown,
  context: Context | undefined,
  next: (changed?: unknown) => unknown,
) => unknown

/** The first one is the outermost. Without middleware the handler itself. */
export function compose(middleware: Middleware[], handler: Handler): Handler {
  return middleware.reduceRight<Handler>(
    (inner, outer) => (input, context) =>
      // Async, so that an error thrown inside is a rejection for whoever awaits next().
      outer(input, context, async (changed) => inner(revised(input, changed), context)),
    handler,
  )
}

/** What middleware hands on in place of a request: a copy of its fields knows its raw body, too. */
function revised(input: unknown, changed: unknown): unknown {
  if (changed === undefined || changed === null) return input
  if (input instanceof ApiRequest && typeof changed === 'object' && !('rawBody' in changed)) {
    Object.defineProperty(changed, 'rawBody', { get: () => input.rawBody, configurable: true })
  }
  return changed
}
