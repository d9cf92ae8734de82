// What a schema that runs makes of other types, and so need not be there before it has run.
type Fields = Record<string, unknown>

/**
 * What may come as another type than the schema's: all that the schema itself reads, or only what
 * the orchestrator has not read before.
 */
export type Coerced = 'all' | 'dates' | undefined

/** Lets pass what the zod schema with this definition will still make the right type. */
export function loosen(jsonSchema: Fields, def: unknown, coerced: Coerced): void {
  if (coerced === undefined) return
  const kind = kindOf(def)
  if (kind === 'preprocess' || (kind === 'catch' && coerced === 'all')) {
    for (const key of Object.keys(jsonSchema)) if (!NOTES.has(key)) delete jsonSchema[key]
  } else if (field(def, 'coerce') === true && (coerced === 'all' || kind === 'date')) {
    delete jsonSchema['type']
    if (kind === 'date') delete jsonSchema['format']
  } else if (kind === 'object' && Array.isArray(jsonSchema['required'])) {
    const shape = field(def, 'shape')
    const required = jsonSchema['required'].filter((name) => !fills(field(shape, String(name))))
    if (required.length > 0) jsonSchema['required'] = required
    else delete jsonSchema['required']
  }
}

const NOTES = new Set(['title', 'description', 'default'])

const WRAPPERS = new Set(['nullable', 'readonly', 'default', 'prefault', 'lazy'])

/** Whether a zod 4 schema may make something of a missing value, though its types ask for one. */
function fills(schema: unknown): boolean {
  const def = definition(schema)
  const kind = kindOf(def)
  if (kind === 'preprocess' || kind === 'catch') return true
  if (kind === 'pipe') return fills(field(def, 'in'))
  return typeof kind === 'string' && WRAPPERS.has(kind) && fills(field(def, 'innerType'))
}

function kindOf(def: unknown): unknown {
  const name = field(def, 'typeName')
  if (name === 'ZodDate') return 'date'
  if (name === 'ZodCatch') return 'catch'
  if (name === 'ZodEffects') return field(field(def, 'effect'), 'type')
  const type = field(def, 'type')
  const makesInput = type === 'pipe' && field(definition(field(def, 'in')), 'type') === 'transform'
  return makesInput ? 'preprocess' : type
}

/** What a zod 4 schema or check is made of. */
export function definition(schema: unknown): unknown {
  return field(field(schema, '_zod'), 'def')
}

/** A field of an object or a function; undefined of anything else. */
export function field(value: unknown, name: string): unknown {
  const isObject = (typeof value === 'object' && value !== null) || typeof value === 'function'
  return isObject ? (value as Fields)[name] : undefined
}
