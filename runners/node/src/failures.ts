// What user code threw outside of an invocation, on its way to an answer.
import { LoadError } from './load-error'
import type { ErrorFields } from './peer'
import type { Stacks } from './stack'

/** From a function that was asked for a decision. */
export class HandlerFailure extends Error {
  constructor(cause: unknown) {
    super('', { cause })
  }
}

/** Why a step file could not be loaded. */
export class LoadFailure extends Error {
  private readonly path: string

  constructor(cause: unknown, path: string) {
    super('', { cause })
    this.path = path
  }

  fields(stacks: Stacks): ErrorFields {
    const { cause } = this
    const fields = stacks.fields('load_failed', cause)
    if (isLoadError(cause)) {
      const { file, line, column } = cause
      return {
        ...fields,
        type: cause.type,
        trace: cause.trace ?? stacks.trace(cause.cause ?? cause),
        data: { file, line, column },
      }
    }
    const frame = fields.frames?.find(({ file }) => stacks.isOwn(file))
    return { ...fields, data: { file: frame?.file ?? this.path, line: frame?.line ?? 1 } }
  }
}

/** What user code throws may fight back even against being looked at. */
function isLoadError(thrown: unknown): thrown is LoadError {
  try {
    return thrown instanceof LoadError
  } catch {
    return false
  }
}
