// ctx.logger
import { formatWithOptions } from 'node:util'
import { currentScope } from './current'
import type { Level, Scope, ScopeLogs } from './scope'

/**
 * Log records of one scope: `logger.info('Order placed', { orderId })`.
 * The methods also work when taken off the logger (`const { info } = logger`): they then log for
 * whichever handler runs.
 */
export class Logger {
  // Really private: whoever prints or stores the context does not get the runner with it.
  readonly #scope: Scope

  constructor(scope: Scope) {
    this.#scope = scope
  }

  debug(message: unknown, fields?: unknown): void {
    write(this, 'debug', message, fields)
  }

  info(message: unknown, fields?: unknown): void {
    write(this, 'info', message, fields)
  }

  warn(message: unknown, fields?: unknown): void {
    write(this, 'warn', message, fields)
  }

  error(message: unknown, fields?: unknown): void {
    write(this, 'error', message, fields)
  }

  warning(message: unknown, fields?: unknown): void {
    write(this, 'warn', message, fields)
  }

  log(message: unknown, fields?: unknown): void {
    write(this, 'info', message, fields)
  }

  /** The scope that `logger` writes for: its own, or that of the running handler. */
  static scopeOf(logger: Logger | undefined): Scope {
    const isLogger = typeof logger === 'object' && logger !== null && #scope in logger
    return isLogger ? logger.#scope : currentScope('logger')
  }
}

function write(logger: Logger | undefined, level: Level, message: unknown, fields: unknown): void {
  const scope = Logger.scopeOf(logger)
  say(scope.logs, scope, level, message, fields)
}

/** Writes one record of what a logger's method was given. */
export function say(
  logs: ScopeLogs,
  scope: Scope | undefined,
  level: Level,
  message: unknown,
  fields: unknown,
): void {
  if (typeof message === 'string') logs.write(scope, { level, message, fields })
  else if (message instanceof Error) {
    logs.write(scope, { level, message: message.message, fields: fields ?? message })
  } else if (typeof fields === 'string') {
    // The other common order: fields first.
    logs.write(scope, { level, message: fields, fields: message })
  } else logs.write(scope, { level, message: formatWithOptions({}, message), fields })
}
