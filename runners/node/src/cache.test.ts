import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { CompileCache } from './cache'
import type { Compiled } from './transform'

const folder = mkdtempSync(join(tmpdir(), 'stepweave-cache-'))
after(() => rmSync(folder, { recursive: true, force: true }))

const COMPILED: Compiled = {
  code: 'exports.a = "ž\n"',
  kind: 'generator',
  imports: [{ specifier: './x', line: 3, column: 5 }],
}

test('what was written is read', () => {
  const cache = new CompileCache(join(folder, 'deep', 'er'))
  assert.equal(cache.read('k'), undefined)
  cache.write('k', COMPILED)
  assert.deepEqual(cache.read('k'), COMPILED)
  assert.deepEqual(readdirSync(join(folder, 'deep', 'er')), ['k.js'])
})

test('an entry that was cut short or is no entry is none', () => {
  const cache = new CompileCache(folder)
  cache.write('k', COMPILED)
  const [name = ''] = readdirSync(folder).filter((entry) => entry === 'k.js')
  for (const content of ['', '{"kind":"plain","imports":[],"size":10}\nshort', 'rubbish\ncode']) {
    writeFileSync(join(folder, name), content)
    assert.equal(cache.read('k'), undefined)
  }
})

test('a folder that cannot be written to costs nothing but time', () => {
  writeFileSync(join(folder, 'file'), '')
  const cache = new CompileCache(join(folder, 'file', 'below'))
  cache.write('k', COMPILED)
  assert.equal(cache.read('k'), undefined)
})

test('past its limit the older half goes', () => {
  const full = mkdtempSync(join(folder, 'full-'))
  for (let n = 0; n < 5_001; n++) writeFileSync(join(full, `old${n}.js`), '')
  new CompileCache(full).write('k', COMPILED)
  const left = readdirSync(full)
  assert.ok(left.length < 2_600 && left.includes('k.js'), `${left.length} left`)
})

test('without a folder it uses one that only this user can write to', () => {
  const before = process.env['TMPDIR']
  const temporary = mkdtempSync(join(folder, 'tmp-'))
  process.env['TMPDIR'] = temporary
  try {
    const own = new CompileCache(undefined)
    assert.ok(own.folder?.startsWith(temporary))
    own.write('k', COMPILED)
    assert.deepEqual(new CompileCache(undefined).read('k'), COMPILED)
    chmodSync(join(own.folder ?? '', '..'), 0o777)
    assert.equal(new CompileCache(undefined).folder, undefined)
  } finally {
    if (before === undefined) delete process.env['TMPDIR']
    else process.env['TMPDIR'] = before
  }
})
