import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseJsonc } from './jsonc'
import { Project } from './testing/project'
import { readTsConfig, type TsConfig } from './tsconfig'

function read(files: Record<string, string>): TsConfig & { folder: string } {
  using project = new Project(files)
  return { ...readTsConfig(project.folder), folder: project.folder }
}

test('comments and trailing commas are no trouble, texts are left alone', () => {
  const text = `\uFEFF{
    // a comment, with "quotes"
    "url": "http://x.test/*not a comment*/ // nor this",
    "quoted\\"//": [1, 2, /* , ] */ ], /* two
    lines */ "comma,}": ",]",
  }`
  assert.deepEqual(parseJsonc(text), {
    url: 'http://x.test/*not a comment*/ // nor this',
    'quoted"//': [1, 2],
    'comma,}': ',]',
  })
})

test('a project without a tsconfig has the usual settings', () => {
  const { options, paths, files, problems } = read({})
  assert.equal(options.legacyDecorators, false)
  assert.deepEqual([paths, files, problems], [[], [], []])
})

test('later configs win over what they extend, paths are relative to their own file', () => {
  const { options, paths, baseUrl, folder } = read({
    'tsconfig.json':
      '{ "extends": ["./one.json", "./sub/two"], "compilerOptions": { "jsx": "react" } }',
    'one.json':
      '{ "compilerOptions": { "experimentalDecorators": true, "jsx": "preserve", "baseUrl": "." } }',
    'sub/two.json':
      '{ "compilerOptions": { "paths": { "#/*": ["./*"], "@a": ["x"], "@a/b/*": ["y/*"] } } }',
  })
  assert.equal(options.legacyDecorators, true)
  assert.equal(options.jsx, 'react')
  assert.equal(baseUrl, folder)
  assert.deepEqual(
    paths.map(({ prefix, suffix, targets }) => [prefix, suffix, targets[0]]),
    [
      ['@a', undefined, `${folder}/sub/x`],
      ['@a/b/', '', `${folder}/sub/y/*`],
      ['#/', '', `${folder}/sub/*`],
    ],
  )
})

test('a config of a package can be extended', () => {
  const { options, files } = read({
    'tsconfig.json': '{ "extends": "@base/config" }',
    'node_modules/@base/config/tsconfig.json':
      '{ "compilerOptions": { "verbatimModuleSyntax": true } }',
  })
  assert.equal(options.verbatimModuleSyntax, true)
  assert.equal(files.length, 2)
})

test('what is wrong is told, and the rest is used', () => {
  const broken = read({
    'tsconfig.json': '{ oops }',
    'jsconfig.json': '{ "compilerOptions": { "baseUrl": "src" } }',
  })
  assert.match(broken.problems[0] ?? '', /tsconfig\.json: .*; its settings are not used/)
  assert.equal(broken.baseUrl, `${broken.folder}/src`)
  const missing = read({
    'tsconfig.json': '{ "extends": "./gone", "compilerOptions": { "jsx": "react" } }',
  })
  assert.match(missing.problems[0] ?? '', /"extends": "\.\/gone" was not found/)
  assert.equal(missing.options.jsx, 'react')
  const circle = read({ 'tsconfig.json': '{ "extends": "./tsconfig.json" }' })
  assert.equal(circle.files.length, 1)
})
