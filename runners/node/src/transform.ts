// Source text to something that can run: as it is where possible, else through the transformer,
// whose results are kept on disk by the hash of what went in.
import { createHash } from 'node:crypto'
import { type Babel, loadBabel } from './babel-load'
import type { CompileCache } from './cache'
import { LoadError, positionOf } from './load-error'
import { messageOf } from './errors'

export interface StaticImport {
  specifier: string
  line: number
  /** From 1. */
  column: number
}

/** A file in the form that is run. */
export interface Compiled {
  code: string
  /**
   * `plain`: CommonJS. `generator`: yields the index of each import and gets its exports. `async`:
   * awaits at its top level, so it can only be imported; asks `__load` for each import.
   */
  kind: 'plain' | 'generator' | 'async'
  /** In the order in which they are asked for. */
  imports: StaticImport[]
}

/** The settings of a tsconfig that change what is generated. */
export interface CompilerOptions {
  legacyDecorators: boolean
  /** Class fields are assigned instead of defined (`useDefineForClassFields: false`). */
  assignFields: boolean
  verbatimModuleSyntax: boolean
  jsx: string | undefined
  jsxFactory: string | undefined
  jsxFragmentFactory: string | undefined
  jsxImportSource: string | undefined
}

declare const __BABEL_ID__: string

const TYPED = /\.(?:[cm]?ts|tsx|jsx)$/
// Words that plain CommonJS cannot hold: import and export, also import() and import.meta.
const MODULE_WORDS = /\b(?:import|export)\b/

export class Transformer {
  options: CompilerOptions
  private readonly cache: CompileCache
  private babel: Babel | undefined

  constructor(options: CompilerOptions, cache: CompileCache) {
    this.options = options
    this.cache = cache
  }

  /** Whether this file is run without being transformed, as far as one look at it tells. */
  static runsAsIs(source: string, file: string): boolean {
    return !TYPED.test(file) && !file.endsWith('.mjs') && !MODULE_WORDS.test(source)
  }

  /** The transformed file. Throws LoadError with the place of a syntax error. */
  compile(source: string, file: string): Compiled {
    const key = this.key(source, file)
    const cached = this.cache.read(key)
    if (cached !== undefined) return cached
    let compiled: Compiled
    try {
      compiled = this.load().compile(source, file, this.options)
    } catch (error) {
      throw syntaxError(error, file)
    }
    this.cache.write(key, compiled)
    return compiled
  }

  private key(source: string, file: string): string {
    const kind = file.slice(file.lastIndexOf('.'))
    return createHash('sha256')
      .update(`${__BABEL_ID__}\0${kind}\0${JSON.stringify(this.options)}\0`)
      .update(source)
      .digest('hex')
      .slice(0, 40)
  }

  private load(): Babel {
    this.babel ??= loadBabel(this.cache, __BABEL_ID__)
    return this.babel
  }
}

/** Babel's message without the path and the drawing that follow it; the drawing is the trace. */
function syntaxError(error: unknown, file: string): LoadError {
  const text = messageOf(error)
  const [first = text] = text.split('\n')
  const message = first.replace(`${file}: `, '').replace(/ \(\d+:\d+\)$/, '')
  const position = positionOf(error)
  return new LoadError(message, {
    type: 'SyntaxError',
    file,
    line: position?.line ?? 1,
    ...(position?.column === undefined ? {} : { column: position.column }),
    trace: text,
    cause: error,
  })
}
