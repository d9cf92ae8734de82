// Functions around a handler: (input, context, next) => result of next, or a result of their own.
import type { Context } from './context'

export type Handler = (input: unknown, context?: Context) => unknown

export type Middleware = (
  input: unknown,
  context: Context | undefined,
  next: () => unknown,
) => unknown

/** The first one is the outermost. Without middleware the handler itself. */
export function compose(middleware: Middleware[], handler: Handler): Handler {
  return middleware.reduceRight<Handler>(
    (inner, outer) => (input, context) =>
      // Async, so that an error thrown inside is a rejection for whoever awaits next().
      outer(input, context, async () => inner(input, context)),
    handler,
  )
}
