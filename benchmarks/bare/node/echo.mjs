// A bare echo child: answers each request frame on stdin with its own payload on stdout.
// Same framing (a length, then one msgpack value) and same codec as the Node runner, nothing else.
import { Packr, Unpackr } from 'msgpackr'

const packr = new Packr({ useRecords: false, encodeUndefinedAsNil: true })
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true })
let buffer = Buffer.alloc(0)

process.stdin.on('data', (chunk) => {
  buffer = buffer.length ? Buffer.concat([buffer, chunk]) : chunk
  const answers = []
  let at = 0
  while (buffer.length - at >= 4) {
    const size = buffer.readUInt32BE(at)
    if (buffer.length - at - 4 < size) break
    const [, id, , params] = unpackr.unpack(buffer.subarray(at + 4, at + 4 + size))
    const body = packr.pack([1, id, null, params.input.data])
    const prefix = Buffer.allocUnsafe(4)
    prefix.writeUInt32BE(body.length)
    answers.push(prefix, body)
    at += 4 + size
  }
  buffer = buffer.subarray(at)
  if (answers.length) process.stdout.write(Buffer.concat(answers))
})
process.stdin.on('end', () => process.exit(0))
