let calls = 0
module.exports = { count: () => ++calls }
