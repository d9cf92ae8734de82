// Leaves timers, promises and emits behind that fail after it has answered.
exports.config = { type: 'event', name: 'LooseEnds', subscribes: ['zoo'] }
exports.handler = (input, { emit, logger }) => {
  setTimeout(() => emit({ topic: 'too.late' }), 5)
  setTimeout(() => {
    throw Object.create(null)
  }, 5)
  setTimeout(() => logger.info('still talking'), 5)
  Promise.reject(new Error('nobody waits for this'))
  new Promise(() => {
    throw new RangeError('nor for this')
  })
  emit({ topic: 'in.time', data: 1 })
  return 'answered'
}
