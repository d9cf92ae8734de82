// The vectors that every runner keeps to (protocol/vectors).
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

declare const __HOME__: string

type Tagged = Record<string, unknown>

export function vectors<T>(name: string): T {
  const file = join(__HOME__, '..', '..', 'protocol', 'vectors', `${name}.json`)
  return JSON.parse(readFileSync(file, 'utf8')) as T
}

/** The native form of a tagged value. */
export function native(tagged: Tagged): unknown {
  const [[tag, value] = ['', undefined]] = Object.entries(tagged)
  switch (tag) {
    case 'nil':
      return null
    case 'int':
    case 'float':
      return Number(value)
    case 'bin':
      return Buffer.from(value as string, 'hex')
    case 'array':
      return (value as Tagged[]).map(native)
    case 'map':
      return Object.fromEntries(
        (value as [unknown, Tagged][]).map(([key, item]) => [
          typeof key === 'object' ? native(key as Tagged) : key,
          native(item),
        ]),
      )
    default:
      return value
  }
}

/** Whether it holds a float with a whole value, which JavaScript cannot tell from an integer. */
export function isAmbiguous(tagged: unknown): boolean {
  if (typeof tagged !== 'object' || tagged === null) return false
  if ('float' in tagged) return Number.isInteger(Number(tagged.float))
  return Object.values(tagged).some((value) =>
    Array.isArray(value) ? value.flat(2).some(isAmbiguous) : isAmbiguous(value),
  )
}
