// What a step file says of itself: its config, its handler, and what stands beside them.
import { invalidPayload, messageOf } from './errors'
import { LoadError } from './load-error'
import { parserOf } from './parsing'
import { Payload } from './payload'
import type { Coerced } from './coercion'
import { isSchema, type Nearby, toJsonSchema } from './schemas'
import { encodeJson } from './values'

export type AnyFunction = (...args: never[]) => unknown

/** The parts of a step file that are used later. */
export interface StepParts {
  config: Record<string, unknown>
  handler: AnyFunction | undefined
  middleware: AnyFunction[]
  canAccess: AnyFunction | undefined
  streamAuth: AnyFunction | undefined
}

/** The file has no config: nothing that could be registered. */
export class NoConfig extends Error {
  override name = 'NoConfig'
}

/**
 * Finds the parts in a module's exports: named, on the default export, or as the default export.
 * A config that is a function is called. A file that says who the clients of streams are needs none.
 * Throws NoConfig, or what that function throws.
 */
export async function partsOf(exports: unknown): Promise<StepParts> {
  const places = [exports, field(exports, 'default')]
  const named = first(places, 'config')
  const found: unknown = typeof named === 'function' ? await (named as () => unknown)() : named
  const streamAuth = field(found, 'streamAuth') ?? first(places, 'streamAuth')
  const config: unknown = found === undefined && streamAuth !== undefined ? {} : found
  if (typeof config !== 'object' || config === null || Array.isArray(config)) {
    const what = config === undefined ? 'no config is exported' : 'the config is not an object'
    throw new NoConfig(
      `${what}; a step exports one, such as: export const config = ` +
        "{ type: 'event', name: 'MyStep', subscribes: ['topic'] }",
    )
  }
  const middleware = field(config, 'middleware') ?? first(places, 'middleware')
  const list: unknown[] = Array.isArray(middleware) ? middleware : [middleware]
  return {
    config: config as Record<string, unknown>,
    handler: functionOf(first(places, 'handler')) ?? places.map(functionOf).find(isThere),
    middleware: list.map(functionOf).filter(isThere),
    canAccess: functionOf(field(config, 'canAccess') ?? first(places, 'canAccess')),
    streamAuth: functionOf(streamAuth) ?? functionOf(field(streamAuth, 'authenticate')),
  }
}

/**
 * The middleware of a file that the project's settings name: exported as `middleware` or by
 * default, a function or a list of them. Throws LoadError when there is none.
 */
export function middlewareOf(exports: unknown, file: string): AnyFunction[] {
  const byDefault = field(exports, 'default')
  const given =
    first([exports, byDefault], 'middleware') ?? byDefault ?? (exports as AnyFunction | undefined)
  const list = Array.isArray(given) ? given.map(functionOf) : [functionOf(given)]
  const functions = list.filter(isThere)
  if (functions.length > 0 && functions.length === list.length) return functions
  throw new LoadError(
    'a middleware file exports a function, or a list of them: ' +
      'export const middleware = async (req, ctx, next) => next()',
    { type: 'MissingMiddleware', file, line: 1 },
  )
}

/** The names of `load`'s `exports`. */
export function exportNames(parts: StepParts): string[] {
  return [
    ...(parts.handler ? ['handler'] : []),
    ...(parts.canAccess ? ['canAccess'] : []),
    ...(parts.middleware.length > 0 ? ['middleware'] : []),
    ...(parts.streamAuth ? ['streamAuth'] : []),
  ]
}

/**
 * The config as JSON, without functions, its schemas as JSON Schema. A schema that cannot be
 * converted is left out with a warning. Where the input `isParsed`, the schemas themselves have
 * the last word on it. Throws invalid_payload for a config that holds itself.
 */
export function configPayload(
  config: Record<string, unknown>,
  nearby: Nearby,
  isParsed = false,
): { payload: Payload; warnings: string[] } {
  const { middleware: _, ...rest } = config
  const warnings: string[] = []
  const plain = new ConfigWalk(nearby, warnings, isParsed).plain(rest, '')
  return { payload: encodeJson(plain) ?? new Payload('json', '{}'), warnings }
}

// The schemas of inputs, and what may still be made another type when they are run: the texts of
// path and query have been read as the types that the schema names by then.
const COERCED: Record<string, Coerced> = {
  bodySchema: 'all',
  body_schema: 'all',
  input: 'all',
  querySchema: 'dates',
  query_schema: 'dates',
  paramsSchema: 'dates',
  params_schema: 'dates',
}

class ConfigWalk {
  private readonly open = new Set<unknown>()
  private readonly nearby: Nearby
  private readonly warnings: string[]
  private readonly isParsed: boolean

  constructor(nearby: Nearby, warnings: string[], isParsed: boolean) {
    this.nearby = nearby
    this.warnings = warnings
    this.isParsed = isParsed
  }

  plain(value: unknown, path: string): unknown {
    if (isSchema(value)) return this.schema(value, path)
    if (typeof value === 'function') return undefined
    if (typeof value !== 'object' || value === null) return value
    const isPlain = Array.isArray(value) || isPlainObject(value)
    if (!isPlain) return value
    if (this.open.has(value)) throw invalidPayload(`config: "${path}" leads back to itself`)
    this.open.add(value)
    const result = Array.isArray(value)
      ? value.map((item, index) => this.plain(item, `${path}[${index}]`)).filter(isThere)
      : Object.fromEntries(
          Object.entries(value).map(([name, item]) => [
            name,
            this.plain(item, path === '' ? name : `${path}.${name}`),
          ]),
        )
    this.open.delete(value)
    return result
  }

  private schema(schema: unknown, path: string): unknown {
    try {
      // Through JSON and back: what a library hangs on its schemas may be anything.
      const how = this.isParsed ? COERCED[path] : undefined
      return JSON.parse(JSON.stringify(toJsonSchema(schema, this.nearby, how))) as unknown
    } catch (error) {
      if (this.isParsed && path in COERCED && parserOf(schema) !== undefined) return undefined
      this.warnings.push(
        `${path}: the schema could not be converted to JSON Schema (${messageOf(error)}); ` +
          'data is passed on unchecked',
      )
      return undefined
    }
  }
}

function isPlainObject(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

function first(places: unknown[], name: string): unknown {
  return places.map((place) => field(place, name)).find(isThere)
}

function field(value: unknown, name: string): unknown {
  const isObject = (typeof value === 'object' && value !== null) || typeof value === 'function'
  return isObject ? (value as Record<string, unknown>)[name] : undefined
}

function functionOf(value: unknown): AnyFunction | undefined {
  return typeof value === 'function' ? (value as AnyFunction) : undefined
}

function isThere<T>(value: T | undefined): value is T {
  return value !== undefined
}
