import assert from 'node:assert/strict'
import { mkdirSync, symlinkSync } from 'node:fs'
import { test } from 'node:test'
import { Project } from './testing/project'

test('finds files in every spelling', async () => {
  using project = new Project({
    'steps/main.ts': `
      import { a } from './plain'
      import { b } from './compiled.js'
      import { c } from '../lib'
      import { d } from '../pkg'
      import e from '../data.json'
      import { f } from './dotted.name'
      import { g } from './esm.mjs'
      export const result = [a, b, c, d, e.e, f, g]`,
    'steps/plain.ts': 'export const a = 1',
    'steps/compiled.ts': 'export const b = 2',
    'lib/index.ts': 'export const c = 3',
    'pkg/package.json': '{ "main": "src/entry" }',
    'pkg/src/entry.js': 'exports.d = 4',
    'data.json': '\uFEFF{ "e": 5 }',
    'steps/dotted.name.ts': 'export const f = 6',
    'steps/esm.mts': 'export const g = 7',
  })
  assert.deepEqual((await project.load('steps/main.ts'))['result'], [1, 2, 3, 4, 5, 6, 7])
})

test('TypeScript prefers sources, JavaScript prefers what it names', async () => {
  using project = new Project({
    'a.ts': 'import { x } from "./x.js"\nexport const result = x',
    'b.js': 'exports.result = require("./x.js").x',
    'x.ts': 'export const x = "source"',
    'x.js': 'exports.x = "compiled"',
  })
  assert.equal((await project.load('a.ts'))['result'], 'source')
  assert.equal((await project.load('b.js'))['result'], 'compiled')
})

test('follows tsconfig paths, baseUrl, extends and comments', async () => {
  using project = new Project({
    'tsconfig.json': `{
      // the base has baseUrl
      "extends": "./base",
      "compilerOptions": { /* "@gone": [], */ "paths": {
        "@lib/*": ["lib/*"], "@exact": ["./lib/b.ts"], "@two/*": ["nowhere/*", "lib/*"],
      } },
    }`,
    'base.json': '{ "compilerOptions": { "baseUrl": "." } }',
    'lib/a.ts': 'export const a = 1',
    'lib/b.ts': 'export const b = 2',
    'services/c.ts': 'export const c = 3',
    'steps/main.ts': `
      import { a } from '@lib/a'
      import { b } from '@exact'
      import { c } from 'services/c'
      import { a as again } from '@two/a.js'
      import path from 'node:path'
      export const result = [a, b, c, again, path.sep]`,
  })
  assert.deepEqual((await project.load('steps/main.ts'))['result'], [1, 2, 3, 1, '/'])
})

test('follows the imports of package.json', async () => {
  using project = new Project({
    'package.json':
      '{ "type": "module", "imports": { "#lib/*": { "browser": "./gone/*", "default": "./lib/*" }, "#one": "./one.ts" } }',
    'lib/a.ts': 'export const a = 1',
    'one.ts': 'export const one = 2',
    'main.js': 'import { a } from "#lib/a.js"\nexports.result = [a, require("#one").one]',
  })
  assert.deepEqual((await project.load('main.js'))['result'], [1, 2])
})

const PACKAGES = {
  'node_modules/cjs/package.json': '{ "name": "cjs" }',
  'node_modules/cjs/index.js':
    'exports.a = 1; exports.count = (globalThis.cjsLoads = (globalThis.cjsLoads ?? 0) + 1)',
  'node_modules/interop/package.json': '{ "name": "interop" }',
  'node_modules/interop/index.js':
    'Object.defineProperty(exports, "__esModule", { value: true }); exports.default = "d"',
  'node_modules/esm/package.json':
    '{ "name": "esm", "type": "module", "exports": { ".": { "default": "./index.js" } } }',
  'node_modules/esm/index.js': 'export const b = 2\nexport default "esm"',
  'node_modules/import-only/package.json':
    '{ "name": "import-only", "type": "module", "exports": { ".": { "import": "./index.js" } } }',
  'node_modules/import-only/index.js': 'export const c = 3',
  'node_modules/@scope/awaits/package.json':
    '{ "name": "@scope/awaits", "type": "module", "exports": "./index.js" }',
  'node_modules/@scope/awaits/index.js': 'export const d = await Promise.resolve(4)',
}

test('loads packages of every kind', async () => {
  using project = new Project({
    ...PACKAGES,
    'main.ts': `
      import { a } from 'cjs'
      import whole from 'cjs'
      import inner from 'interop'
      import esm, { b } from 'esm'
      import { c } from 'import-only'
      import { d } from '@scope/awaits'
      import { readFileSync } from 'fs'
      export const result = [a, whole.a, inner, esm, b, c, d, typeof readFileSync]`,
  })
  assert.deepEqual((await project.load('main.ts'))['result'], [
    1,
    1,
    'd',
    'esm',
    2,
    3,
    4,
    'function',
  ])
})

test('finds the default of a package that can only be imported', async () => {
  using project = new Project({
    'node_modules/only/package.json':
      '{ "name": "only", "type": "module", "exports": { "import": "./index.js" } }',
    'node_modules/only/index.js':
      'export let count = 1; export const more = () => { count++ }; export default class Only { static is = "only" }',
    'node_modules/awaits/package.json':
      '{ "name": "awaits", "type": "module", "exports": "./index.js" }',
    'node_modules/awaits/index.js': 'export default await Promise.resolve("awaited")',
    'main.ts': `
      import Only, { count, more } from 'only'
      import * as all from 'only'
      import awaits from 'awaits'
      more()
      const { default: again, ...rest } = await import('only')
      export const result = [Only.is, count, all.default === Only, Object.keys(all), awaits, again === Only, Object.keys(rest)]`,
  })
  assert.deepEqual((await project.load('main.ts'))['result'], [
    'only',
    2,
    true,
    ['count', 'default', 'more'],
    'awaited',
    true,
    ['count', 'more'],
  ])
})

test('CommonJS requires packages for ESM, and imports those that can only be imported', async () => {
  using project = new Project({
    ...PACKAGES,
    'main.js': `
      const { b } = require('esm')
      exports.result = Promise.all([import('import-only'), import('@scope/awaits'), import('cjs')])
        .then(([i, s, c]) => [b, i.c, s.d, c.default.a, c.a])`,
  })
  assert.deepEqual(await (await project.load('main.js'))['result'], [2, 3, 4, 1, 1])
})

test('packages stay loaded while project files are read anew', async () => {
  using project = new Project({
    ...PACKAGES,
    'main.ts': 'import { count } from "cjs"\nexport const result = count',
  })
  const first = (await project.load('main.ts'))['result']
  project.loader.invalidate([project.path('main.ts')])
  assert.equal((await project.load('main.ts'))['result'], first)
})

test('a linked workspace package in TypeScript is one of the project files', async () => {
  using project = new Project({
    'packages/shared/package.json': '{ "name": "shared", "main": "src/index.ts" }',
    'packages/shared/src/index.ts': 'export const enum E { A = 3 }\nexport const a: number = E.A',
    'app/main.ts': 'import { a } from "shared"\nexport const result = a',
  })
  mkdirSync(project.path('node_modules'))
  symlinkSync(project.path('packages/shared'), project.path('node_modules/shared'))
  assert.equal((await project.load('app/main.ts'))['result'], 3)
  assert.ok(
    project.loader
      .watched(project.path('app/main.ts'))
      .some((file) => file.endsWith('shared/src/index.ts')),
  )
})

test('a missing module is named with the place of its import', async () => {
  using project = new Project({
    'a.ts': 'const x = 1\nimport { y } from "./gone"\nexport const result = [x, y]',
    'b.ts': 'import { z } from "not-there/sub"\nexport const result = z',
  })
  await assert.rejects(project.load('a.ts'), {
    message: "Cannot find module './gone'",
    type: 'ModuleNotFound',
    file: project.path('a.ts'),
    line: 2,
    column: 19,
  })
  await assert.rejects(project.load('b.ts'), { message: /npm install not-there$/ })
})

const MOTIA_CONFIG = `
  import states from '@motiadev/plugin-states/plugin'
  import { BullMQEventAdapter, type Options } from '@motiadev/adapter-bullmq-events'
  const logs = require('@motiadev/plugin-logs/plugin')
  export const adapters = { events: new BullMQEventAdapter({ host: 'x' }) }
  export default { plugins: [states, logs, states({}), logs.default], streamAuth: 7 }`

test("a config of Motia needs no plugin's package", async () => {
  using project = new Project({ 'motia.config.ts': MOTIA_CONFIG })
  const config = (await project.load('motia.config.ts'))['default'] as Record<string, unknown>
  assert.equal(config['streamAuth'], 7)
})

test('an installed plugin is loaded, and a step needs what it imports', async () => {
  using project = new Project({
    'motia.config.js': "exports.name = require('@motiadev/plugin-own').name",
    'node_modules/@motiadev/plugin-own/index.js': "exports.name = 'own'",
    'a.step.ts': MOTIA_CONFIG,
    'motia.config.mts': "import x from '@motiadev/stream-client-node'\nexport const y = x",
  })
  assert.equal((await project.load('motia.config.js'))['name'], 'own')
  await assert.rejects(project.load('a.step.ts'), /@motiadev\/plugin-states/)
  await assert.rejects(project.load('motia.config.mts'), /@motiadev\/stream-client-node/)
})

test('an optional require can be caught as in Node', async () => {
  using project = new Project({
    'main.js': 'try { require("./gone") } catch (error) { exports.result = error.code }',
  })
  assert.equal((await project.load('main.js'))['result'], 'MODULE_NOT_FOUND')
})

test('a package that throws is blamed on its import', async () => {
  using project = new Project({
    'node_modules/bad/index.js': 'throw new TypeError("bad package")',
    'main.ts': '\nimport bad from "bad"\nexport const result = bad',
  })
  await assert.rejects(project.load('main.ts'), {
    message: "'bad' failed to load: bad package",
    type: 'TypeError',
    line: 2,
  })
})

test('requiring a module that awaits is refused with what to do', async () => {
  using project = new Project({
    'main.js': 'exports.result = require("./slow.mjs")',
    'slow.mjs': 'export const a = await Promise.resolve(1)',
  })
  await assert.rejects(project.load('main.js'), {
    code: 'ERR_REQUIRE_ASYNC_MODULE',
    message: /slow\.mjs awaits at its top level: load it with import/,
  })
})

test('a module that awaits runs once, however many load it at once', async () => {
  using project = new Project({
    'a.ts': 'import { n } from "./slow"\nexport const result = n',
    'b.ts': 'import { n } from "./slow"\nexport const result = n',
    'slow.ts':
      'const g = globalThis as any\ng.slowRuns = (g.slowRuns ?? 0) + 1\nawait new Promise((done) => setTimeout(done, 10))\nexport const n = g.slowRuns',
  })
  const [a, b] = await Promise.all([project.load('a.ts'), project.load('b.ts')])
  assert.deepEqual([a['result'], b['result']], [1, 1])
})

test('loads that meet in a circle of awaits do not wait for each other for good', async () => {
  const wait = 'await new Promise((done) => setTimeout(done, 5))'
  using project = new Project({
    'a.ts': `import * as b from './b'\n${wait}\nexport const result = 'a'; export const other = () => b.result`,
    'b.ts': `import * as a from './a'\n${wait}\nexport const result = 'b'; export const other = () => a.result`,
  })
  const [a, b] = await Promise.all([project.load('a.ts'), project.load('b.ts')])
  assert.deepEqual([(a['other'] as () => string)(), (b['other'] as () => string)()], ['b', 'a'])
})

test('an edit reaches importers and leaves the rest alone', async () => {
  using project = new Project({
    'one.ts':
      'import { a } from "./lib/a"\nimport { shared } from "./lib/shared"\nexport const result = [a, shared]',
    'two.ts': 'import { shared } from "./lib/shared"\nexport const result = shared',
    'lib/a.ts': 'import { deep } from "./deep"\nexport const a = deep',
    'lib/deep.ts': 'export const deep = 1',
    'lib/shared.ts': 'export const shared = {}',
  })
  const one = await project.load('one.ts')
  const two = await project.load('two.ts')
  project.write({ 'lib/deep.ts': 'export const deep = 2' })
  const reached = project.loader.invalidate([project.path('lib/deep.ts')])
  assert.deepEqual(
    [...reached].sort(),
    ['lib/a.ts', 'lib/deep.ts', 'one.ts'].map((name) => project.path(name)).sort(),
  )
  const again = await project.load('one.ts')
  const [before] = one['result'] as unknown[]
  const [after, shared] = again['result'] as unknown[]
  assert.deepEqual([before, after], [1, 2])
  assert.equal(shared, two['result'])
})

test('a file that appears reaches those that missed it', async () => {
  using project = new Project({ 'main.ts': 'import { a } from "./later"\nexport const result = a' })
  await assert.rejects(project.load('main.ts'))
  project.write({ 'later.ts': 'export const a = 1' })
  const reached = project.loader.invalidate([project.path('later.ts')])
  assert.ok(reached.has(project.path('main.ts')))
  assert.equal((await project.load('main.ts'))['result'], 1)
})

test('a file that failed is read anew', async () => {
  using project = new Project({
    'main.ts': 'import { a } from "./a"\nexport const result = a',
    'a.ts': 'throw new Error("first")\nexport const a = 1',
  })
  await assert.rejects(project.load('main.ts'), { message: 'first' })
  project.write({ 'a.ts': 'export const a = 1' })
  assert.equal((await project.load('main.ts'))['result'], 1)
})

test('a refresh reads what has changed on disk, without being told of it', async () => {
  using project = new Project({
    'main.ts': 'import { a } from "./a"\nexport const result = a',
    'a.ts': 'export const a = 1',
  })
  await project.load('main.ts')
  project.write({ 'a.ts': 'export const a = 1000' })
  project.loader.refresh(project.path('main.ts'))
  assert.equal((await project.load('main.ts'))['result'], 1000)
})

test('an edit while a module awaits does not mix the old with the new', async () => {
  using project = new Project({
    'main.ts': 'import { a } from "./slow"\nexport const result = a',
    'slow.ts': 'await new Promise((done) => setTimeout(done, 20))\nexport const a = "old"',
  })
  const loading = project.load('main.ts')
  project.write({ 'slow.ts': 'export const a = "new"' })
  project.loader.invalidate([project.path('slow.ts')])
  const newer = await project.load('main.ts')
  assert.deepEqual([(await loading)['result'], newer['result']], ['old', 'new'])
})

test('what a file is made of is told', async () => {
  using project = new Project({
    'main.ts': 'import "./a"\nimport data from "./d.json"\nexport const result = data',
    'a.ts': 'export {}',
    'd.json': '{}',
  })
  await project.load('main.ts')
  const names = project.loader
    .watched(project.path('main.ts'))
    .map((file) => file.slice(project.folder.length + 1))
  assert.deepEqual(names.sort(), ['a.ts', 'd.json', 'main.ts'])
})

test('require.resolve, module and friends are there', async () => {
  using project = new Project({
    'main.js': `exports.result = [
      require.resolve('./lib') === require('path').join(__dirname, 'lib.ts'),
      require.resolve('fs'), module.filename === __filename, module.id === __filename,
      require.main === module, this === exports, typeof require.cache,
    ]`,
    'lib.ts': 'export {}',
  })
  assert.deepEqual((await project.load('main.js'))['result'], [
    true,
    'fs',
    true,
    true,
    false,
    true,
    'object',
  ])
})

test('a broken JSON file is named with its line', async () => {
  using project = new Project({
    'main.ts': 'import data from "./d.json"\nexport const result = data',
    'd.json': '{\n  "a": 1,\n  oops\n}',
  })
  await assert.rejects(project.load('main.ts'), {
    type: 'SyntaxError',
    file: project.path('d.json'),
    line: 3,
  })
})

test('a thousand reloads do not pile up', async () => {
  using project = new Project({
    'main.js': 'exports.data = new Array(10_000).fill(0); exports.result = 1',
  })
  const size = (): number => process.memoryUsage().heapUsed
  const reload = async (): Promise<void> => {
    project.loader.invalidate([project.path('main.js')])
    await project.load('main.js')
  }
  for (let round = 0; round < 100; round++) await reload()
  const before = size()
  for (let round = 0; round < 1_000; round++) await reload()
  // Each copy holds 80 kB: keeping them would be 80 MB.
  assert.ok(size() - before < 40e6, `${size() - before} bytes more`)
})
