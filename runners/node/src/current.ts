// Which scope the running code belongs to, also after an await or in a timer.
import { AsyncLocalStorage } from 'node:async_hooks'
import { StepweaveError } from './errors'
import type { Scope } from './scope'

export const scopes = new AsyncLocalStorage<Scope>()

/** The running scope. Throws when no handler is running; `what` names what was asked for. */
export function currentScope(what: string): Scope {
  const scope = scopes.getStore()
  if (scope !== undefined) return scope
  throw new StepweaveError('unknown_scope', `${what} works only while a handler runs`)
}
