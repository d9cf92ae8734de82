// Schemas of the author's library to JSON Schema.
import { ignoreOverride, zodToJsonSchema } from 'zod-to-json-schema'
import { type Coerced, definition, field, loosen } from './coercion'

type Convert = (options: Record<string, unknown>) => unknown
type Fields = Record<string, unknown>

/** Loads a module as the author's file would. */
export type Nearby = (specifier: string) => unknown

// Input form: fields with a default are optional. What JSON Schema cannot say becomes "anything".
const zod4Options = (coerced: Coerced): Fields => ({
  io: 'input',
  unrepresentable: 'any',
  override({ zodSchema, jsonSchema }: { zodSchema: unknown; jsonSchema: Fields }): void {
    const def = definition(zodSchema)
    if (field(def, 'type') === 'date') {
      jsonSchema['type'] = 'string'
      jsonSchema['format'] = 'date-time'
    }
    spellFlags(jsonSchema, def)
    loosen(jsonSchema, def, coerced)
  },
})

/** JSON Schema's patterns have no flags, so those of a regular expression go into its text. */
function spellFlags(jsonSchema: Fields, def: unknown): void {
  const checks = field(def, 'checks')
  for (const check of [def, ...(Array.isArray(checks) ? (checks as unknown[]) : [])]) {
    // Zod 3 has them in the check itself, zod 4 in its definition.
    const texts = [field(check, 'regex'), field(definition(check) ?? check, 'pattern')]
    const regex = texts.find(isRegExp)
    if (regex === undefined || !/[ims]/.test(regex.flags)) continue
    const all = jsonSchema['allOf']
    for (const place of [jsonSchema, ...(Array.isArray(all) ? (all as unknown[]) : [])]) {
      if (isRecord(place) && place['pattern'] === regex.source) place['pattern'] = spelled(regex)
    }
  }
}

function isRegExp(value: unknown): value is RegExp {
  return value instanceof RegExp
}

/** The text of a regular expression that means the same without its flags. */
function spelled(regex: RegExp): unknown {
  // What zod-to-json-schema makes of a dot under the flag s means another thing.
  const isDotAll = regex.flags.includes('s')
  const source = regex.source.replace(/\\.|\[(?:\\.|[^\]\\])*\]|\./g, (part) =>
    part === '.' && isDotAll ? '[\\s\\S]' : part,
  )
  const plain = new RegExp(source, regex.flags.replace('s', ''))
  const text = { _def: { typeName: 'ZodString', checks: [{ kind: 'regex', regex: plain }] } }
  return field(zodToJsonSchema(text as never, { applyRegexFlags: true }), 'pattern')
}

/** Whether a value is a schema of some library, and not JSON Schema or shorthand already. */
export function isSchema(value: unknown): boolean {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false
  return (
    isRecord(field(value, '_zod')) ||
    typeof field(field(value, '_def'), 'typeName') === 'string' ||
    isRecord(field(value, '~standard')) ||
    methodOf(value) !== undefined
  )
}

/** The JSON Schema of such a value. Throws what the library throws, or Error if it has no way. */
export function toJsonSchema(schema: unknown, nearby: Nearby, coerced?: Coerced): unknown {
  if (isRecord(field(schema, '_zod'))) return fromZod4(schema as Fields, nearby, coerced)
  if (typeof field(field(schema, '_def'), 'typeName') === 'string') {
    return fromZod3(schema, coerced)
  }
  const standard = field(schema, '~standard')
  const input = field(field(standard, 'jsonSchema'), 'input')
  if (typeof input === 'function') {
    return (input as Convert).call(field(standard, 'jsonSchema'), { target: 'draft-2020-12' })
  }
  const method = methodOf(schema)
  if (method !== undefined) return method.call(schema, {})
  const vendor = field(standard, 'vendor')
  throw new Error(`${typeof vendor === 'string' ? vendor : 'its library'} gives no JSON Schema`)
}

function fromZod4(schema: Fields, nearby: Nearby, coerced: Coerced): unknown {
  const method = methodOf(schema)
  if (method !== undefined) return method.call(schema, zod4Options(coerced))
  // Older 4.x and zod/mini have it as a function; this entry is in every zod that knows `_zod`.
  const core = nearby('zod/v4/core') as { toJSONSchema(schema: unknown, options: unknown): unknown }
  return core.toJSONSchema(schema, zod4Options(coerced))
}

function fromZod3(schema: unknown, coerced: Coerced): unknown {
  let isRecursive = false
  const options = {
    effectStrategy: 'input',
    pipeStrategy: 'input',
    dateStrategy: 'format:date-time',
    // Unknown keys are fine unless the schema is strict, as in zod itself.
    removeAdditionalStrategy: 'strict',
    allowedAdditionalProperties: undefined,
    postProcess(jsonSchema: object | undefined, def: unknown): Fields | undefined {
      if (jsonSchema === undefined) return undefined
      const result = jsonSchema as Fields
      renew(result)
      spellFlags(result, def)
      loosen(result, def, coerced)
      return result
    },
  } as const
  // Written out in place, unless the schema contains itself: then it needs references.
  const inline = zodToJsonSchema(schema as never, {
    ...options,
    $refStrategy: 'none',
    override(_def, refs, seen) {
      const isInside =
        seen !== undefined &&
        seen.path.length < refs.currentPath.length &&
        seen.path.every((part, index) => refs.currentPath[index] === part)
      if (!isInside) return ignoreOverride
      isRecursive = true
      return {}
    },
  })
  const found = isRecursive
    ? zodToJsonSchema(schema as never, { ...options, $refStrategy: 'root' })
    : inline
  return { ...found, $schema: 'https://json-schema.org/draft/2020-12/schema' }
}

/** Says a list of fixed items as JSON Schema 2020-12 does: the converter writes an older form. */
function renew(jsonSchema: Fields): void {
  if (jsonSchema['type'] !== 'array' || !Array.isArray(jsonSchema['items'])) return
  jsonSchema['prefixItems'] = jsonSchema['items']
  delete jsonSchema['items']
  if ('additionalItems' in jsonSchema) {
    jsonSchema['items'] = jsonSchema['additionalItems']
    delete jsonSchema['additionalItems']
  }
}

function methodOf(schema: unknown): Convert | undefined {
  for (const name of ['toJSONSchema', 'toJsonSchema']) {
    const method = field(schema, name)
    if (typeof method === 'function') return method as Convert
  }
  return undefined
}

function isRecord(value: unknown): value is Fields {
  return (typeof value === 'object' || typeof value === 'function') && value !== null
}
