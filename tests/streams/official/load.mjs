// The first version of the Node client can only be required, the last one only be imported.
import { createRequire } from 'node:module'

export async function load(name) {
  return name.startsWith('older') ? createRequire(import.meta.url)(name) : import(name)
}
