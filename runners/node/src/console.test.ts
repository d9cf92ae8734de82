// What user code prints, in a real process.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Child } from './testing/child'

const step = (body: string): string =>
  `exports.config = { type: 'event', name: 'T', subscribes: ['t'] }
exports.handler = async (input, ctx) => { ${body} }`

/** The records that a handler's text makes, less their time. */
async function printed(body: string): Promise<{ records: string[][]; stderr: string }> {
  const child = await Child.start({ 'a.step.js': step(body) })
  try {
    await child.load('a.step.js')
    await child.event('a.step.js')
    const records = child.logs.map(({ scope, level, source = 'logger', message }) => {
      assert.equal(scope, child.id)
      return [level, source, message]
    })
    // Its own stderr may be on its way still.
    child.process.stdin?.end()
    await child.exit
    return { records, stderr: child.stderr }
  } finally {
    await child.stop()
  }
}

test('the console becomes records of the handler', async () => {
  const { records, stderr } = await printed(`
    console.log('plain'); console.info('%s is %d', 'x', 5, { a: [1] }); console.debug('d')
    console.warn('w'); console.error(new Error('broken').message); console.log('two\\nlines'); console.log()
    console.table([{ a: 1 }]); console.dir({ b: 2 }); console.assert(false, 'wrong'); console.count('c')`)
  assert.equal(stderr, '')
  assert.deepEqual(records.slice(0, 7), [
    ['info', 'stdout', 'plain'],
    ['info', 'stdout', 'x is 5 { a: [ 1 ] }'],
    ['debug', 'stdout', 'd'],
    ['warn', 'stderr', 'w'],
    ['error', 'stderr', 'broken'],
    ['info', 'stdout', 'two\nlines'],
    ['info', 'stdout', ''],
  ])
  assert.match(records[7]?.[2] ?? '', /│ 0\s+│ 1 │/)
  assert.deepEqual(records.slice(8), [
    ['info', 'stdout', '{ b: 2 }'],
    ['warn', 'stderr', 'Assertion failed: wrong'],
    ['info', 'stdout', 'c: 1'],
  ])
})

test('groups are indented, each handler for itself', async () => {
  const { records } = await printed(`
    console.group('outer'); console.log('in'); console.group(); console.log('deep\\ndeeper'); console.groupEnd()
    console.groupEnd(); console.groupEnd(); console.log('out')`)
  assert.deepEqual(
    records.map(([, , message]) => message),
    ['outer', '  in', '    deep\n    deeper', 'out'],
  )
})

test('a trace says where it was', async () => {
  const { records } = await printed('console.trace("here")')
  assert.match(records[0]?.[2] ?? '', /^Trace: here\n\s+at .*a\.step\.js:2/)
})

test('the standard streams become a record per line, the rest at the end', async () => {
  const { records, stderr } = await printed(`
    process.stdout.write('one\\ntw'); process.stderr.write('warn\\n'); process.stdout.write(Buffer.from('o\\nthree'))
    await new Promise((done) => process.stdout.write('!', 'utf8', done))
    process.stdout.write('6869', 'hex'); process.stderr.write('rest')`)
  assert.equal(stderr, '')
  assert.deepEqual(records, [
    ['info', 'stdout', 'one'],
    ['warn', 'stderr', 'warn'],
    ['info', 'stdout', 'two'],
    ['info', 'stdout', 'three!hi'],
    ['warn', 'stderr', 'rest'],
  ])
})

test('records and prints keep their order', async () => {
  const { records } = await printed(`
    process.stdout.write('no end'); console.log('next'); ctx.logger.info('logged'); console.log('last')`)
  assert.deepEqual(
    records.map(([, , message]) => message),
    ['no end', 'next', 'logged', 'last'],
  )
})

test('what passes by the language arrives on stderr', async () => {
  const { records, stderr } = await printed(`
    require('fs').writeSync(1, 'descriptor 1\\n'); require('fs').writeSync(2, 'descriptor 2\\n')
    require('child_process').spawnSync('echo', ['from a child'], { stdio: 'inherit' })
    require('child_process').spawnSync('sh', ['-c', 'echo three >&3; echo four >&4'], { stdio: ['inherit', 'inherit', 'pipe'] })`)
  assert.deepEqual(records, [])
  assert.deepEqual(
    stderr
      .split('\n')
      .filter((line) => line !== '')
      .sort(),
    ['descriptor 1', 'descriptor 2', 'from a child'],
  )
})

test('printing while a file loads belongs to no handler', async () => {
  const child = await Child.start({
    'a.step.js': `console.log('loading'); process.stdout.write('partial'); ${step('')}`,
  })
  await child.load('a.step.js')
  await child.until(() => child.logs.length > 0)
  assert.deepEqual([child.logs[0]?.scope, child.logs[0]?.message], [undefined, 'loading'])
  await child.stop()
})

test('what is printed while the process ends arrives', async () => {
  const child = await Child.start({
    'a.step.js': `process.on('exit', () => { console.log('closed'); process.stdout.write('for good\\n') }); ${step('')}`,
  })
  await child.load('a.step.js')
  child.process.stdin?.end()
  await child.exit
  await child.until(() => child.logs.length === 2)
  assert.deepEqual(
    child.logs.map(({ message }) => message),
    ['closed', 'for good'],
  )
  await child.stop()
})

test('handlers that run side by side keep their prints apart', async () => {
  const child = await Child.start({
    'a.step.js': step(
      `for (let n = 0; n < 5; n++) { await new Promise((done) => setTimeout(done, Math.random() * 5)); console.log(input, n); process.stdout.write(input + '\\n') }`,
    ),
  })
  await child.load('a.step.js')
  const first = child.id + 1
  await Promise.all(['a', 'b', 'c', 'd'].map((name) => child.event('a.step.js', name)))
  for (const [index, name] of ['a', 'b', 'c', 'd'].entries()) {
    const own = child.logs.filter(({ scope }) => scope === first + index)
    assert.equal(own.length, 10)
    assert.ok(own.every(({ message }) => message.startsWith(name)))
  }
  await child.stop()
})

test('records are dropped, debug first, when nobody reads, and the next one says how many', async () => {
  const child = await Child.start({
    'a.step.js': step(`
      const fill = 'x'.repeat(500)
      for (let n = 0; n < 6000; n++) { ctx.logger.debug(fill); ctx.logger.error(fill); if (n % 100 === 0) await new Promise(setImmediate) }
      require('fs').writeSync(2, 'all said')`),
  })
  await child.load('a.step.js')
  child.process.stdout?.pause()
  const done = child.event('a.step.js')
  await child.until(() => child.stderr.includes('all said'))
  child.process.stdout?.resume()
  await done
  const of = (level: string): number => child.logs.filter((log) => log.level === level).length
  assert.equal(of('error'), 6000)
  assert.ok(of('debug') < 6000, `${of('debug')} debug records`)
  const dropped = child.logs.reduce((sum, log) => sum + (log.dropped ?? 0), 0)
  assert.ok(dropped > 0 && of('debug') + dropped <= 6000)
  await child.stop()
})
