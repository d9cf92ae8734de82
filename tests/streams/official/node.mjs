// node.mjs PACKAGE BASE GROUP [guarded]: the official Node client against a running server.
import { load } from './load.mjs'
import { guarded, scenario } from './scenario.mjs'

const [name, base, group, what] = process.argv.slice(2)
const { Stream } = await load(name)
await (what === 'guarded' ? guarded(Stream, base) : scenario(Stream, base, group))
process.exit(0)
