import { strict as assert } from 'node:assert'
import { test } from 'node:test'
import { filesOf } from './files'
import { type Events, sse } from './sse'
import { isStream } from './streaming'

async function written(...events: unknown[]): Promise<string> {
  let text = ''
  for await (const part of sse(events as Events).body) text += part
  return text
}

test('events are written as browsers read them', async () => {
  const rows: [unknown, string][] = [
    ['hello', 'data: hello\n\n'],
    [{ data: 'a\nb\r\nc\rd' }, 'data: a\ndata: b\ndata: c\ndata: d\n\n'],
    [{ data: '' }, 'data: \n\n'],
    [{ data: null }, 'data: null\n\n'],
    [{ data: { ü: [1] } }, 'data: {"ü":[1]}\n\n'],
    [{ event: 'e', id: 7, retry: 10 }, 'event: e\nid: 7\nretry: 10\n\n'],
    [[1, 2], 'data: [1,2]\n\n'],
  ]
  for (const [event, text] of rows) assert.equal(await written(event), text)
})

test('what is no event is refused', async () => {
  const rows: [unknown, RegExp][] = [
    [{ date: 1 }, /an event has data, event, id and retry, not "date"/],
    [{}, /not nothing/],
    [{ event: 'a\nb', data: 1 }, /the event of an event is one line/],
    [{ id: 'a\0b' }, /the id of an event is one line/],
    [{ retry: 'soon' }, /in whole milliseconds/],
  ]
  for (const [event, message] of rows) await assert.rejects(written(event), { message })
  for (const events of ['text', 7, null, { data: 1 }]) {
    assert.throws(() => sse(events as unknown as Events), /a list or generator of events/)
  }
})

test('closing the body closes the events', async () => {
  let closed = false
  function* events(): Generator<string> {
    try {
      yield 'one'
      yield 'two'
    } finally {
      closed = true
    }
  }
  const { body } = sse(events())
  assert.equal((await body.next()).value, 'data: one\n\n')
  await body.return(undefined)
  assert.equal(closed, true)
})

test('generators and streams are streams, data is not', () => {
  const streams = [(function* () {})(), (async function* () {})(), new ReadableStream(), [1].values()]
  for (const body of streams) assert.equal(isStream(body), true)
  for (const body of [[1], {}, { next: 'page' }, new Map(), new Set(), new Date()]) {
    assert.equal(isStream(body), false)
  }
})

test('files are found by position and field, unless an array means something by it', () => {
  const data = Buffer.from('in')
  const names = ['a', 'a', 'length', 'map', '0', '__proto__']
  const files = filesOf(names.map((field) => ({ field, name: 'n', type: 't', size: 2, data })))
  assert.equal(files.length, 6)
  assert.equal(files['a'], files[0])
  assert.equal(typeof files.map, 'function')
  assert.equal(files[0]?.bytes.toString(), 'in')
  assert.equal(Object.keys(files).length, 6)
})
