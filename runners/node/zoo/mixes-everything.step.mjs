// ESM that requires, exports twice and awaits while it loads.
import { createRequire } from 'node:module'
import * as helper from './lib/helper.cjs'
import text, { shout as loud } from './lib/esm.mts'

const own = createRequire(import.meta.url)
const { count } = own('./lib/helper.cjs')
const later = await import('./lib/later.js')

export const config = async () => ({ type: 'event', name: 'MixesEverything', subscribes: ['zoo'] })
export async function handler() {
  return [
    helper.count(),
    typeof count,
    loud(text),
    later.default,
    require('./lib/helper.cjs') === helper.default,
  ]
}
