// The modules that step files import although no package of that name is installed.
import { currentScope, scopes } from './current'
import { cancelEvent, type EmittedEvent, emit } from './emitter'
import { say } from './logger'
import type { Level, ScopeLogs } from './scope'
import { State } from './state'
import { type Streams, streamsOf } from './streams'

export const VIRTUAL = new Set(['motia', '@motia/core', '@motiadev/core', 'stepweave'])

/**
 * What these modules export. `logger`, `emit`, `cancelEvent`, `state` and `streams` serve whichever handler runs,
 * also from a helper that was not handed a context; `logger` works outside of handlers as well.
 */
export function virtualModule(logs: ScopeLogs): Record<string, unknown> {
  const exports: Record<string, unknown> = {
    defineConfig: identity,
    config: identity,
    logger: looseLogger(logs),
    emit: async (event: EmittedEvent) => emit(currentScope('emit'), event),
    cancelEvent: async (id: string) => cancelEvent(currentScope('cancelEvent'), id),
    state: Object.create(State.prototype) as State,
    streams: looseStreams(),
  }
  Object.defineProperty(exports, '__esModule', { value: true })
  exports['default'] = exports
  return exports
}

function identity<T>(value: T): T {
  return value
}

function looseLogger(logs: ScopeLogs): Record<string, unknown> {
  const names: Record<string, Level> = {
    debug: 'debug',
    info: 'info',
    warn: 'warn',
    error: 'error',
    warning: 'warn',
    log: 'info',
  }
  return Object.fromEntries(
    Object.entries(names).map(([name, level]) => [
      name,
      (message: unknown, fields?: unknown) => say(logs, scopes.getStore(), level, message, fields),
    ]),
  )
}

function looseStreams(): Streams {
  return new Proxy({} as Streams, {
    get: (_target, name) =>
      typeof name === 'symbol' ? undefined : streamsOf(currentScope('streams'))[name],
  })
}
