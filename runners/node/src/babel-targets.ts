// Stands in for Babel's tables of what each browser can do: nothing here is compiled for browsers.

export const TargetNames = {}

export default function getTargets(): Record<string, string> {
  return {}
}

export function isRequired(): boolean {
  return false
}

export function prettifyTargets(): Record<string, string> {
  return {}
}

export function filterItems(): Set<string> {
  return new Set()
}
