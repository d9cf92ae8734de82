// Why a file could not be loaded, and where in the author's code.

import { messageOf } from './errors'
import { typeOf } from './stack'
import type { StaticImport } from './transform'

interface Place {
  type: string
  file: string
  line?: number
  column?: number
  /** Shown in place of the stack. */
  trace?: string
  cause?: unknown
}

export class LoadError extends Error {
  override name = 'LoadError'
  readonly type: string
  readonly file: string
  readonly line: number | undefined
  /** From 1. */
  readonly column: number | undefined
  readonly trace: string | undefined

  constructor(message: string, place: Place) {
    super(message, place.cause === undefined ? undefined : { cause: place.cause })
    this.type = place.type
    this.file = place.file
    this.line = place.line
    this.column = place.column
    this.trace = place.trace
  }
}

/** The position in a syntax error: Babel's `loc`, or the first line of V8's stack. */
export function positionOf(error: unknown): { line: number; column?: number } | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  if ('loc' in error) {
    const loc = error.loc as { line?: unknown; column?: unknown } | undefined
    if (typeof loc?.line === 'number') {
      return { line: loc.line, column: (typeof loc.column === 'number' ? loc.column : 0) + 1 }
    }
  }
  // Babel's plugins only draw the line, marked with ">".
  const drawn = /^> +(\d+) \|/m.exec(messageOf(error))?.[1]
  if (drawn !== undefined) return { line: Number(drawn) }
  const stack = 'stack' in error && typeof error.stack === 'string' ? error.stack : ''
  const [first = '', , marks = ''] = stack.split('\n')
  const line = /:(\d+)$/.exec(first)?.[1]
  if (line === undefined) return undefined
  const column = marks.indexOf('^')
  return { line: Number(line), ...(column < 0 ? {} : { column: column + 1 }) }
}

/** An import of something that is not there. */
export function missing(file: string, from: StaticImport): LoadError {
  const { specifier, line, column } = from
  return new LoadError(sentence(specifier), { type: 'ModuleNotFound', file, line, column })
}

/** The same for require() and import(), as Node words it for those who catch it. */
export function notFound(specifier: string, file: string): Error {
  return withCode('MODULE_NOT_FOUND', `${sentence(specifier)} (required by ${file})`)
}

function sentence(specifier: string): string {
  if (/^[./]/.test(specifier)) return `Cannot find module '${specifier}'`
  const name = /^(?:@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? specifier
  const canInstall = /^(?:@[\w.-]+\/)?[\w.-]+$/.test(name)
  return canInstall
    ? `Cannot find module '${specifier}'; install it with: npm install ${name}`
    : `Cannot find module '${specifier}'`
}

export function withCode(code: string, message: string): Error {
  return Object.assign(new Error(message), { code })
}

/** An imported package that threw while it was loaded. */
export function failedImport(error: unknown, file: string, from: StaticImport): LoadError {
  const { specifier, line, column } = from
  return new LoadError(`'${specifier}' failed to load: ${messageOf(error)}`, {
    type: typeOf(error),
    file,
    line,
    column,
    cause: error,
  })
}
