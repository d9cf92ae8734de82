// The names that zod 3 gives its types. zod-to-json-schema imports them from zod, which is the
// author's own and not part of this bundle.
const names = [
  'String', 'Number', 'NaN', 'BigInt', 'Boolean', 'Date', 'Symbol', 'Undefined', 'Null', 'Any',
  'Unknown', 'Never', 'Void', 'Array', 'Object', 'Union', 'DiscriminatedUnion', 'Intersection',
  'Tuple', 'Record', 'Map', 'Set', 'Function', 'Lazy', 'Literal', 'Enum', 'Effects', 'NativeEnum',
  'Optional', 'Nullable', 'Default', 'Catch', 'Promise', 'Branded', 'Pipeline', 'Readonly',
]

export const ZodFirstPartyTypeKind = Object.fromEntries(
  names.map((name) => [`Zod${name}`, `Zod${name}`]),
)
