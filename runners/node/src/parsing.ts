// `validate: 'parse'`: what the schema objects of a config make of a request.
import type { Handler } from './middleware'
import type { ErrorFields } from './peer'
import type { ApiRequest } from './request'

type Field = 'pathParams' | 'queryParams' | 'body'

interface Issue {
  in: string
  path: (string | number)[]
  message: string
}

type Outcome = { value: unknown } | { issues: Omit<Issue, 'in'>[] }
type Parse = (value: unknown) => Outcome | Promise<Outcome>

/** One schema to run: where it looks, as an issue names it, and the field of the request. */
export interface Parser {
  place: string
  field: Field
  parse: Parse
}

const PARTS: [place: string, field: Field, keys: [string, string]][] = [
  ['path', 'pathParams', ['paramsSchema', 'params_schema']],
  ['query', 'queryParams', ['querySchema', 'query_schema']],
  ['body', 'body', ['bodySchema', 'body_schema']],
]
const MOST_ISSUES = 100

/** What there is to run for a request. A schema that is plain data has nothing to run. */
export function parsersOf(config: Record<string, unknown>): Parser[] {
  const found: Parser[] = []
  for (const [place, field, [camel, snake]] of PARTS) {
    const parse = parserOf(config[camel] ?? config[snake])
    if (parse !== undefined) found.push({ place, field, parse })
  }
  return found
}

/** The handler, given the parsed request; its caller gets invalid_input if that does not fit. */
export function parsing(parsers: Parser[], handler: Handler): Handler {
  return async (input, context) => {
    const request = input as ApiRequest
    const issues: Issue[] = []
    for (const { place, field, parse } of parsers) {
      const outcome = await parse(request[field])
      if ('issues' in outcome) issues.push(...outcome.issues.map((each) => ({ in: place, ...each })))
      else (request as Record<Field, unknown>)[field] = outcome.value
    }
    if (issues.length > 0) throw new InvalidInput(issues.slice(0, MOST_ISSUES))
    return handler(request, context)
  }
}

/** The request is not what the config's own schemas allow. */
export class InvalidInput extends Error {
  override name = 'InvalidInput'
  private readonly issues: Issue[]

  constructor(issues: Issue[]) {
    super('the request does not fit its schemas')
    this.issues = issues
  }

  /** The error map of the answer. */
  fields(): ErrorFields {
    return { code: 'invalid_input', message: this.message, data: { issues: this.issues } }
  }
}

function parserOf(schema: unknown): Parse | undefined {
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
      return { path: Array.isArray(path) ? path.map(partOf) : [], message: textOf(issue) }
    }),
  }
}

/** A key as it is, or in an object of its own, as Standard Schema allows. */
function partOf(part: unknown): string | number {
  const key = field(part, 'key') ?? part
  return typeof key === 'number' ? key : String(key)
}

function textOf(issue: unknown): string {
  const message = field(issue, 'message')
  return typeof message === 'string' ? message : ''
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
