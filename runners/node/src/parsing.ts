// `validate: 'parse'`: what the schema objects of a config make of a handler's input.
import type { Handler } from './middleware'
import type { ErrorFields } from './peer'
import type { ApiRequest } from './request'

type Field = 'pathParams' | 'queryParams' | 'body'
type Path = (string | number)[]
type Config = Record<string, unknown>

interface Issue {
  path: Path
  message: string
}

type Outcome = { value: unknown } | { issues: Issue[] }
type Parse = (value: unknown) => Promise<Outcome>

/** One schema to run: where it looks, as an issue names it, and the field of the request. */
export interface Parser {
  place: string
  /** Undefined for the data of an event, which is the input itself. */
  field: Field | undefined
  parse: Parse
}

/** What parsing has to know of the call that it is for. */
export interface ParsedCall {
  /** Whether data that does not fit ends the call; without it the handler gets it as it came. */
  refuses: boolean
  /** Whether the input is a list of the data of several events. */
  isBatch: boolean
  /** Nobody waits for the handler any more. */
  isOver(): boolean
  warn(message: string): void
}

const PARTS: [place: string, field: Field | undefined, camel: string, snake: string][] = [
  ['path', 'pathParams', 'paramsSchema', 'params_schema'],
  ['query', 'queryParams', 'querySchema', 'query_schema'],
  ['body', 'body', 'bodySchema', 'body_schema'],
  ['input', undefined, 'input', 'input'],
]
const MOST_ISSUES = 100
const MOST_TOLD = 5

/** What there is to run for a step's input. A schema that is plain data has nothing to run. */
export function parsersOf(config: Config): Parser[] {
  const isEvent = config['type'] === 'event'
  const found: Parser[] = []
  for (const [place, field, camel, snake] of PARTS) {
    const parse = parserOf(config[camel] ?? config[snake])
    if (parse !== undefined && isEvent === (field === undefined)) {
      found.push({ place, field, parse })
    }
  }
  return found
}

/** Whether a step's input is parsed; `otherwise` is what configs that do not say it mean. */
export function isParsed(config: Config, otherwise: boolean): boolean {
  const how = config['validate'] ?? undefined
  return how === undefined ? otherwise : how === 'parse'
}

/** Whether a config asks for parsing and has nothing that could. */
export function parsesNothing(config: Config): boolean {
  const isRead = config['type'] === 'api' || config['type'] === 'event'
  return isRead && config['validate'] === 'parse' && parsersOf(config).length === 0
}

/** The handler, given the parsed input; its caller gets invalid_input if that does not fit. */
export function parsing(parsers: Parser[], handler: Handler, call: ParsedCall): Handler {
  return async (input, context) => {
    let given = input
    const issues: (Issue & { in: string })[] = []
    for (const { place, field, parse } of parsers) {
      if (field === undefined) {
        const read = await (call.isBatch ? batchOf(input, parse) : dataOf(input, parse))
        given = read.value
        issues.push(...read.issues.map((issue) => ({ in: place, ...issue })))
        continue
      }
      const request = input as Record<Field, unknown>
      const outcome = await parse(request[field])
      if ('value' in outcome) request[field] = outcome.value
      else issues.push(...outcome.issues.map((issue) => ({ in: place, ...issue })))
    }
    if (call.isOver()) return undefined
    if (issues.length > 0) {
      if (call.refuses) throw new InvalidInput(issues.slice(0, MOST_ISSUES))
      const told = issues.slice(0, MOST_TOLD).map(textOf).join('; ')
      call.warn(`the data does not match input and is handed over as it came: ${told}`)
    }
    return handler(given as ApiRequest, context)
  }
}

/** The input is not what the config's own schemas allow. */
export class InvalidInput extends Error {
  override name = 'InvalidInput'
  readonly #issues: Issue[]

  constructor(issues: Issue[]) {
    super('the input does not fit its schemas')
    this.#issues = issues
  }

  /** Whether something that was thrown is one; asks nothing of objects that fight back. */
  static is(thrown: unknown): thrown is InvalidInput {
    return typeof thrown === 'object' && thrown !== null && #issues in thrown
  }

  /** The error map of the answer. */
  fields(): ErrorFields {
    return { code: 'invalid_input', message: this.message, data: { issues: this.#issues } }
  }
}

interface Read {
  value: unknown
  issues: Issue[]
}

async function dataOf(data: unknown, parse: Parse): Promise<Read> {
  const outcome = await parse(data)
  return 'value' in outcome
    ? { value: outcome.value, issues: [] }
    : { value: data, issues: outcome.issues }
}

/** Paths of the issues begin with the position of the event. */
async function batchOf(list: unknown, parse: Parse): Promise<Read> {
  const each = await Promise.all((list as unknown[]).map(async (data) => dataOf(data, parse)))
  return {
    value: each.map(({ value }) => value),
    issues: each.flatMap(({ issues }, position) =>
      issues.map(({ path, message }) => ({ path: [position, ...path], message })),
    ),
  }
}

/** How a schema object is run; undefined for plain data and what has no way. */
export function parserOf(schema: unknown): Parse | undefined {
  const standard = method(field(schema, '~standard'), 'validate')
  if (standard !== undefined) return async (value) => outcomeOf(await standard(value))
  const safe = method(schema, 'safeParseAsync')
  if (safe === undefined) return undefined
  return async (value) => {
    const result = await safe(value)
    if (field(result, 'success') === true) return { value: field(result, 'data') }
    return outcomeOf(field(result, 'error'))
  }
}

function outcomeOf(result: unknown): Outcome {
  const issues = field(result, 'issues')
  if (!Array.isArray(issues)) return { value: field(result, 'value') }
  return {
    issues: issues.map((issue: unknown) => {
      const path = field(issue, 'path')
      const message = field(issue, 'message')
      return {
        path: Array.isArray(path) ? path.map(partOf) : [],
        message: typeof message === 'string' ? message : '',
      }
    }),
  }
}

/** A key as it is, or in an object of its own, as Standard Schema allows. */
function partOf(part: unknown): string | number {
  const key = field(part, 'key') ?? part
  return typeof key === 'number' ? key : String(key)
}

/** An issue in one line, such as "pet.tags[0] must be text". */
function textOf({ path, message }: Issue): string {
  const place = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${part}`)).join('')
  return place === '' ? message : `${place.replace(/^\./, '')} ${message}`
}

function method(holder: unknown, name: string): ((value: unknown) => unknown) | undefined {
  const found = field(holder, name)
  if (typeof found !== 'function') return undefined
  return (value) => (found as (value: unknown) => unknown).call(holder, value)
}

function field(value: unknown, name: string): unknown {
  const isObject = (typeof value === 'object' && value !== null) || typeof value === 'function'
  return isObject ? (value as Record<string, unknown>)[name] : undefined
}
