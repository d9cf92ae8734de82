// What modules export, beside what running their text gives.
import { messageOf } from './errors'
import { LoadError } from './load-error'

/** The exports of a JSON file. Throws LoadError with the line. */
export function parseJson(source: string, file: string): unknown {
  try {
    return JSON.parse(source)
  } catch (error) {
    const position = Number(/position (\d+)/.exec(messageOf(error))?.[1] ?? 0)
    const line = source.slice(0, position).split('\n').length
    throw new LoadError(messageOf(error), { type: 'SyntaxError', file, line, cause: error })
  }
}

/**
 * A namespace as `require` gives it: marked where it has a default, which compiled code would take
 * for a field of CommonJS otherwise.
 */
export function requirable(namespace: object): object {
  if (!('default' in namespace) || '__esModule' in namespace) return namespace
  const exports = Object.create(null, {
    __esModule: { value: true },
    [Symbol.toStringTag]: { value: 'Module' },
  }) as object
  for (const name of Object.getOwnPropertyNames(namespace)) {
    const get = (): unknown => (namespace as Record<string, unknown>)[name]
    Object.defineProperty(exports, name, { enumerable: true, get })
  }
  return exports
}

/** The namespace that import() gives for a module's exports. */
export function namespaceOf(exports: unknown): unknown {
  if (typeof exports === 'object' && exports !== null) {
    const isNamespace = Object.prototype.toString.call(exports) === '[object Module]'
    if (isNamespace || (exports as { __esModule?: unknown }).__esModule === true) return exports
  }
  const isObject =
    (typeof exports === 'object' && exports !== null) || typeof exports === 'function'
  return Object.assign(Object.create(null) as object, isObject ? exports : {}, { default: exports })
}
