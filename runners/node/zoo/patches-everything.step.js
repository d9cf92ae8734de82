// Changes what everybody shares; the runner and the other animals go on.
Object.prototype.leaked = 'on every object'
Array.prototype.leakedMethod = () => 'on every list'
String.prototype.toJSON = undefined
globalThis.setImmediate = () => {
  throw new Error('a fake that never runs')
}
globalThis.queueMicrotask = undefined
Error.prepareStackTrace = (error, frames) =>
  `${error}\n${frames.length} frames, in a form of its own`
console.log = console.error = undefined
process.stdout.write = () => false

exports.config = { type: 'event', name: 'PatchesEverything', subscribes: ['zoo'] }
exports.handler = async (input, { state }) => {
  await state.set('zoo', 'patched', { kept: [1, 2] })
  return await state.get('zoo', 'patched')
}
