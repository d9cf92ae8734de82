// What of a project's tsconfig.json changes how files are found and what is generated from them.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, isAbsolute, join, resolve } from 'node:path'
import { messageOf } from './errors'
import { parseJsonc } from './jsonc'
import type { CompilerOptions } from './transform'

export interface TsConfig {
  options: CompilerOptions
  /** Folder in which bare specifiers are looked for first. */
  baseUrl: string | undefined
  paths: PathPattern[]
  /** The files that this was read from. */
  files: string[]
  /** What is wrong with them, as sentences. */
  problems: string[]
}

/** `"@lib/*": ["lib/*"]`, with targets made absolute. */
export interface PathPattern {
  prefix: string
  /** undefined: the pattern has no star and stands for itself alone. */
  suffix: string | undefined
  targets: string[]
}

interface Merged {
  compilerOptions: Record<string, unknown>
  baseUrl: string | undefined
  paths: PathPattern[]
}

const MAX_EXTENDS = 20

/** Reads tsconfig.json, or else jsconfig.json, of the project; never throws. */
export function readTsConfig(root: string): TsConfig {
  const files: string[] = []
  const problems: string[] = []
  let merged: Merged = { compilerOptions: {}, baseUrl: undefined, paths: [] }
  for (const name of ['tsconfig.json', 'jsconfig.json']) {
    const found = read(join(root, name), files, problems)
    if (found === undefined) continue
    merged = found
    break
  }
  return {
    options: optionsOf(merged.compilerOptions),
    baseUrl: merged.baseUrl,
    paths: merged.paths,
    files,
    problems,
  }
}

/** One file merged over what it extends; undefined if there is none. */
function read(file: string, files: string[], problems: string[]): Merged | undefined {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
  if (files.includes(file) || files.length >= MAX_EXTENDS) return undefined
  files.push(file)
  let json: Record<string, unknown>
  try {
    json = record(parseJsonc(text))
  } catch (error) {
    problems.push(`${file}: ${messageOf(error)}; its settings are not used`)
    return undefined
  }
  let merged: Merged = { compilerOptions: {}, baseUrl: undefined, paths: [] }
  const parents = Array.isArray(json['extends']) ? json['extends'] : [json['extends']]
  for (const parent of parents) {
    if (typeof parent !== 'string') continue
    const from = extended(parent, file)
    const base = from === undefined ? undefined : read(from, files, problems)
    if (base !== undefined) merged = over(merged, base)
    else problems.push(`${file}: "extends": "${parent}" was not found`)
  }
  return over(merged, own(record(json['compilerOptions']), dirname(file)))
}

function over(base: Merged, more: Merged): Merged {
  return {
    compilerOptions: { ...base.compilerOptions, ...more.compilerOptions },
    baseUrl: more.baseUrl ?? base.baseUrl,
    paths: more.paths.length > 0 ? more.paths : base.paths,
  }
}

function own(options: Record<string, unknown>, folder: string): Merged {
  const baseUrl =
    typeof options['baseUrl'] === 'string' ? resolve(folder, options['baseUrl']) : undefined
  return {
    compilerOptions: options,
    baseUrl,
    paths: patterns(record(options['paths']), baseUrl ?? folder),
  }
}

/** Longest prefix first; a pattern without a star before those with one. */
function patterns(paths: Record<string, unknown>, folder: string): PathPattern[] {
  return Object.entries(paths)
    .filter((entry): entry is [string, string[]] => Array.isArray(entry[1]))
    .map(([pattern, targets]) => {
      const star = pattern.indexOf('*')
      return {
        prefix: star < 0 ? pattern : pattern.slice(0, star),
        suffix: star < 0 ? undefined : pattern.slice(star + 1),
        targets: targets.filter((to) => typeof to === 'string').map((to) => resolve(folder, to)),
      }
    })
    .sort(
      (one, other) =>
        Number(one.suffix !== undefined) - Number(other.suffix !== undefined) ||
        other.prefix.length - one.prefix.length,
    )
}

function extended(parent: string, file: string): string | undefined {
  if (parent.startsWith('.') || isAbsolute(parent)) {
    const path = resolve(dirname(file), parent)
    return path.endsWith('.json') ? path : `${path}.json`
  }
  const require = createRequire(file)
  for (const name of [parent, `${parent}.json`, `${parent}/tsconfig.json`]) {
    try {
      return require.resolve(name)
    } catch {
      // The next spelling, if any.
    }
  }
  return undefined
}

function optionsOf(options: Record<string, unknown>): CompilerOptions {
  return {
    legacyDecorators: options['experimentalDecorators'] === true,
    assignFields: options['useDefineForClassFields'] === false,
    verbatimModuleSyntax:
      options['verbatimModuleSyntax'] === true || options['preserveValueImports'] === true,
    jsx: text(options['jsx']),
    jsxFactory: text(options['jsxFactory']),
    jsxFragmentFactory: text(options['jsxFragmentFactory']),
    jsxImportSource: text(options['jsxImportSource']),
  }
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {}
}
