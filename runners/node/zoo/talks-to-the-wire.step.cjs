// Writes to every descriptor it can think of, from here and from a child; leaves the wire's own alone.
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')

exports.config = { type: 'event', name: 'TalksToTheWire', subscribes: ['zoo'] }
exports.handler = async () => {
  for (const fd of [0, 1, 2]) {
    try {
      fs.writeSync(fd, '\x00\x00\x00\x05junk!')
    } catch {
      // Descriptor 0 may not be written to.
    }
  }
  const script = 'for n in 0 1 2 3 4 5 6; do eval "printf junk >&$n" 2>/dev/null; done; true'
  const { status } = spawnSync('sh', ['-c', script], { stdio: 'inherit' })
  process.stdin.read()
  return status
}
