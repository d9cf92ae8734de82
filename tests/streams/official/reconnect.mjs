// reconnect.mjs PACKAGE ADDRESS GROUP: follows a group and an item, and prints each state as a line.
import { load } from './load.mjs'

const [name, address, group] = process.argv.slice(2)
const { Stream } = await load(name)
const stream = new Stream(address)
const all = stream.subscribeGroup('board', group)
const one = stream.subscribeItem('board', group, 'a')
const print = (what) => (state) => console.log(JSON.stringify([what, state]))
all.addChangeListener(print('group'))
one.addChangeListener(print('item'))
