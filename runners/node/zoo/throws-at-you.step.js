// An error whose every property is a trap.
exports.config = { type: 'event', name: 'ThrowsAtYou', subscribes: ['zoo'] }
exports.handler = () => {
  throw new Proxy(new Error('trap'), {
    get() {
      throw new Error('do not look at me')
    },
    getPrototypeOf() {
      throw new Error('nor at my parents')
    },
    has() {
      throw new Error('nor for me')
    },
  })
}
