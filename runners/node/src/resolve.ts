// From a specifier to what it means: a file that the loader runs itself, or something of Node's.
import { readFileSync, statSync } from 'node:fs'
import { createRequire, isBuiltin } from 'node:module'
import { dirname, isAbsolute, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isDispensable } from './inert'
import type { TsConfig } from './tsconfig'
import { VIRTUAL } from './virtual'

export type Resolved =
  | { kind: 'file'; file: string }
  /** Loaded by Node: a package, a builtin, a compiled addon. */
  | { kind: 'native'; specifier: string }
  /** Of this runner; an inert one stands in for what is not needed. */
  | { kind: 'virtual'; isInert?: true }
  /** Nothing is there; `tried` are the files that would have answered. */
  | { kind: 'missing'; tried: string[] }

const TS_FIRST = ['.ts', '.tsx', '.mts', '.cts', '.js', '.jsx', '.mjs', '.cjs', '.json']
const JS_FIRST = ['.js', '.jsx', '.mjs', '.cjs', '.ts', '.tsx', '.mts', '.cts', '.json']
const CONDITIONS = new Set(['node', 'import', 'require', 'default'])
const TYPED_FILE = /\.(?:[cm]?ts|tsx)$/
// What TypeScript authors write for a file that will be there after compiling.
const COMPILED_NAMES: Record<string, string[]> = {
  '.js': ['.ts', '.tsx'],
  '.jsx': ['.tsx'],
  '.mjs': ['.mts'],
  '.cjs': ['.cts'],
}

export class Resolver {
  private readonly config: TsConfig
  private readonly known = new Map<string, Resolved>()
  private readonly packages = new Map<string, Record<string, unknown> | undefined>()

  constructor(config: TsConfig) {
    this.config = config
  }

  /** What `specifier` means in `importer` (absolute). */
  resolve(specifier: string, importer: string): Resolved {
    const key = `${dirname(importer)}\0${TYPED_FILE.test(importer)}\0${specifier}`
    const known = this.known.get(key)
    if (known !== undefined) return known
    const resolved = this.look(specifier, importer)
    if (resolved.kind !== 'missing') this.known.set(key, resolved)
    return resolved
  }

  /** Files came or went. */
  forget(): void {
    this.known.clear()
    this.packages.clear()
  }

  private look(specifier: string, importer: string): Resolved {
    if (VIRTUAL.has(specifier)) return { kind: 'virtual' }
    if (isBuiltin(specifier)) return { kind: 'native', specifier }
    const order = TYPED_FILE.test(importer) ? TS_FIRST : JS_FIRST
    const plain = specifier.replace(/[?#].*$/, (tail) => (specifier.startsWith('#') ? tail : ''))
    const tried: string[] = []
    if (isPath(plain)) {
      const path = plain.startsWith('file:')
        ? fileURLToPath(plain)
        : resolve(dirname(importer), plain)
      const file = findFile(path, order, tried, plain.endsWith('/'))
      return file === undefined ? { kind: 'missing', tried } : this.asFile(file)
    }
    for (const candidate of this.mapped(specifier, importer)) {
      const file = findFile(candidate, order, tried)
      if (file !== undefined) return this.asFile(file)
    }
    const resolved = this.native(specifier, importer, tried)
    const isGone = resolved.kind === 'missing' && isDispensable(specifier, importer)
    return isGone ? { kind: 'virtual', isInert: true } : resolved
  }

  /** A workspace package is a link to sources of ours; what lies in node_modules is Node's. */
  private native(specifier: string, importer: string, tried: string[]): Resolved {
    let path: string
    try {
      path = createRequire(importer).resolve(specifier)
    } catch (error) {
      // Any other error is a package for `import` alone, which require cannot see into.
      return isMissing(error) ? { kind: 'missing', tried } : { kind: 'native', specifier }
    }
    if (!isAbsolute(path)) return { kind: 'native', specifier }
    const isOurs = !path.includes('/node_modules/') || TYPED_FILE.test(path)
    return isOurs ? this.asFile(path) : { kind: 'native', specifier }
  }

  private asFile(file: string): Resolved {
    return /\.(?:node|wasm)$/.test(file)
      ? { kind: 'native', specifier: file }
      : { kind: 'file', file }
  }

  /** Where tsconfig `paths`, `baseUrl` and package.json `imports` point, best first. */
  private *mapped(specifier: string, importer: string): Generator<string> {
    if (specifier.startsWith('#')) yield* this.subpathImport(specifier, importer)
    for (const { prefix, suffix, targets } of this.config.paths) {
      if (suffix === undefined ? specifier !== prefix : !fits(specifier, prefix, suffix)) continue
      const part = suffix === undefined ? '' : middle(specifier, prefix, suffix)
      for (const target of targets) yield target.replace('*', () => part)
      break
    }
    if (this.config.baseUrl !== undefined) yield join(this.config.baseUrl, specifier)
  }

  private *subpathImport(specifier: string, importer: string): Generator<string> {
    const nearest = this.nearestPackage(dirname(importer))
    const imports = nearest?.json['imports']
    if (nearest === undefined || typeof imports !== 'object' || imports === null) return
    for (const [pattern, target] of Object.entries(imports)) {
      const [prefix = '', suffix] = pattern.split('*')
      if (suffix === undefined ? specifier !== prefix : !fits(specifier, prefix, suffix)) continue
      const path = condition(target)
      if (path === undefined || !path.startsWith('.')) continue
      const part = suffix === undefined ? '' : middle(specifier, prefix, suffix)
      yield resolve(
        nearest.folder,
        path.replace('*', () => part),
      )
    }
  }

  private nearestPackage(
    from: string,
  ): { folder: string; json: Record<string, unknown> } | undefined {
    for (let folder = from; ; folder = dirname(folder)) {
      if (!this.packages.has(folder)) this.packages.set(folder, readPackage(folder))
      const json = this.packages.get(folder)
      if (json !== undefined) return { folder, json }
      if (dirname(folder) === folder) return undefined
    }
  }
}

function isPath(specifier: string): boolean {
  return /^(?:\.{1,2}(?:\/|$)|\/|file:)/.test(specifier)
}

function fits(specifier: string, prefix: string, suffix: string): boolean {
  return (
    specifier.length >= prefix.length + suffix.length &&
    specifier.startsWith(prefix) &&
    specifier.endsWith(suffix)
  )
}

function middle(specifier: string, prefix: string, suffix: string): string {
  return specifier.slice(prefix.length, specifier.length - suffix.length)
}

/** The file behind a path with any extension; notes in `tried` what was not there. */
function findFile(
  path: string,
  order: string[],
  tried: string[],
  onlyFolder = false,
): string | undefined {
  if (!onlyFolder) {
    for (const candidate of candidates(path, order)) {
      if (isFile(candidate)) return candidate
      tried.push(candidate)
    }
  }
  const main = readPackage(path)?.['main']
  if (typeof main === 'string') {
    const file = findFile(join(path, main), order, tried)
    if (file !== undefined) return file
  }
  for (const extension of order) {
    const candidate = join(path, `index${extension}`)
    if (isFile(candidate)) return candidate
    tried.push(candidate)
  }
  return undefined
}

function* candidates(path: string, order: string[]): Generator<string> {
  const dot = path.lastIndexOf('.')
  const extension = dot > path.lastIndexOf('/') ? path.slice(dot) : ''
  const sources = COMPILED_NAMES[extension]?.map((other) => path.slice(0, dot) + other) ?? []
  // In TypeScript `./x.js` is x.ts even when a compiled x.js lies beside it.
  if (order === TS_FIRST) yield* [...sources, path]
  else yield* [path, ...sources]
  for (const other of order) yield path + other
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true
}

function readPackage(folder: string): Record<string, unknown> | undefined {
  try {
    const json: unknown = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
    return typeof json === 'object' && json !== null ? (json as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

/** The path of an `imports` entry under the conditions that hold here. */
function condition(target: unknown): string | undefined {
  if (typeof target === 'string') return target
  if (typeof target !== 'object' || target === null) return undefined
  for (const [name, value] of Object.entries(target)) {
    if (!CONDITIONS.has(name)) continue
    const path = condition(value)
    if (path !== undefined) return path
  }
  return undefined
}

function isMissing(error: unknown): boolean {
  return (error as { code?: unknown }).code === 'MODULE_NOT_FOUND'
}
