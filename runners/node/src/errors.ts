// The errors that have a name on the wire.

/** An error with a code of the protocol; `data` holds facts that a program can use. */
export class StepweaveError extends Error {
  readonly code: string
  readonly data: Record<string, unknown> | undefined

  constructor(code: string, message: string, data?: Record<string, unknown>, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'StepweaveError'
    this.code = code
    this.data = data
  }
}

/** A value that has no form on the wire; `path` is the place inside it. */
export function invalidPayload(message: string, cause?: unknown): StepweaveError {
  return new StepweaveError('invalid_payload', message, undefined, cause)
}

/** A request whose field is missing or of another type. */
export function invalidParams(message: string): StepweaveError {
  return new StepweaveError('invalid_params', message)
}

/** The message of whatever was thrown. Never throws, even for objects that fight back. */
export function messageOf(thrown: unknown): string {
  try {
    if (thrown instanceof Error) return String(thrown.message)
    if (typeof thrown === 'object' && thrown !== null && 'message' in thrown) {
      return String(thrown.message)
    }
    if (typeof thrown === 'object' && thrown !== null) return JSON.stringify(thrown)
    return String(thrown)
  } catch {
    return 'a value that cannot be shown was thrown'
  }
}

/** The `code` of an error as Node sets it, or undefined. Never throws. */
export function codeOf(thrown: unknown): string | undefined {
  try {
    if (typeof thrown !== 'object' || thrown === null || !('code' in thrown)) return undefined
    return typeof thrown.code === 'string' ? thrown.code : undefined
  } catch {
    return undefined
  }
}

/** A handler's answer that is none. */
export class InvalidResponse extends Error {
  override name = 'InvalidResponse'
  readonly code = 'handler_failed'
}
