// The syntax that step authors may use, each case compiled and run.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Files, Project } from './testing/project'

interface Case {
  /** The file that is loaded, if not main.ts. */
  main?: string
  files: Files
  /** What its export `result` is; a promise is awaited. */
  result: unknown
}

const ts = (source: string, more: Files = {}): Files => ({ 'main.ts': source, ...more })
const LEGACY = { 'tsconfig.json': '{ "compilerOptions": { "experimentalDecorators": true } }' }

const CASES: Record<string, Case> = {
  'type annotations': {
    files: ts('export const result: number = ((a: number, b?: string): number => a)(1)'),
    result: 1,
  },
  'interfaces and type aliases': {
    files: ts(
      'interface A { a: number }\ntype B = A & { b: string }\nexport const result: B = { a: 1, b: "x" }',
    ),
    result: { a: 1, b: 'x' },
  },
  enum: {
    files: ts('enum E { A, B = 5, C, D = "d" }\nexport const result = [E.A, E.C, E[5], E.D]'),
    result: [0, 6, 'B', 'd'],
  },
  'computed enum': {
    files: ts(
      'const n = 3\nenum E { A = 1 << 2, B = A | 1, C = "abc".length, D = n }\nexport const result = [E.A, E.B, E.C, E.D]',
    ),
    result: [4, 5, 3, 3],
  },
  'const enum': {
    files: ts('const enum E { A = "a", B = "b" }\nexport const result = E.B'),
    result: 'b',
  },
  'const enum of another file': {
    files: ts('import { E } from "./e"\nexport const result = E.B', {
      'e.ts': 'export const enum E { A = 1, B }',
    }),
    result: 2,
  },
  'declare enum': {
    files: ts('declare enum Gone { A }\nexport const result = typeof Gone'),
    result: 'undefined',
  },
  namespace: {
    files: ts(
      'namespace N { export const a = 1; export namespace M { export function f() { return a + 1 } } }\nexport const result = N.M.f()',
    ),
    result: 2,
  },
  'merged namespace': {
    files: ts(
      'function f() { return f.x }\nnamespace f { export const x = 7 }\nexport const result = f()',
    ),
    result: 7,
  },
  'exported namespace': {
    files: ts('import { N } from "./n"\nexport const result = N.a', {
      'n.ts': 'export namespace N { export const a = 3 }',
    }),
    result: 3,
  },
  'parameter properties': {
    files: ts(
      'class A { constructor(readonly a: number, private b = 2) {} sum() { return this.a + this.b } }\nexport const result = new A(1).sum()',
    ),
    result: 3,
  },
  'parameter properties and fields': {
    files: ts(
      'class A { c = 10; constructor(public a: number) { this.c += a } }\nexport const result = new A(1).c',
    ),
    result: 11,
  },
  'abstract classes and overloads': {
    files: ts(
      'abstract class A { abstract f(): number; g(a: string): string; g(a: number): number; g(a: any) { return a } }\nclass B extends A { override f() { return 2 } }\nexport const result = new B().f()',
    ),
    result: 2,
  },
  'declare fields': {
    files: ts('class A { declare a: number; b = 1 }\nexport const result = Object.keys(new A())'),
    result: ['b'],
  },
  'class fields, private and static': {
    files: ts(
      'class A { #x = 1; static s = 2; static { A.s++ } get x() { return this.#x } static has(o: object) { return #x in o } }\nexport const result = [new A().x, A.s, A.has(new A())]',
    ),
    result: [1, 3, true],
  },
  'optional chaining and nullish': {
    files: ts(
      'const a: any = null\nlet b: any\nb ??= 4\nexport const result = [a?.b.c, a ?? 3, b, a?.[0]?.()]',
    ),
    result: [undefined, 3, 4, undefined],
  },
  'non-null and definite assignment': {
    files: ts(
      'let a!: number\na = 1\nconst m = new Map([[1, 2]])\nexport const result = a! + m.get(1)!',
    ),
    result: 3,
  },
  'as, satisfies and const assertions': {
    files: ts(
      'const c = { a: 1 } satisfies Record<string, number>\nexport const result = [c.a as unknown as string, { x: 1 } as const, <number>2]',
    ),
    result: [1, { x: 1 }, 2],
  },
  'const type parameters': {
    files: ts(
      'const f = <const T extends readonly unknown[]>(t: T): T => t\nexport const result = f([1, 2])',
    ),
    result: [1, 2],
  },
  'generic arrow functions': {
    files: ts('const id = <T,>(value: T) => value\nexport const result = id<number>(3)'),
    result: 3,
  },
  'instantiation expressions': {
    files: ts(
      'const make = <T>(t: T) => [t]\nconst numbers = make<number>\nexport const result = numbers(1)',
    ),
    result: [1],
  },
  'type guards, asserts and this types': {
    files: ts(
      'function isText(a: unknown): a is string { return typeof a === "string" }\nfunction check(a: unknown): asserts a is string { if (!isText(a)) throw new Error() }\nfunction f(this: { a: number }) { return this.a }\ncheck("x")\nexport const result = f.call({ a: 1 })',
    ),
    result: 1,
  },
  'tuple labels, template types and infer': {
    files: ts(
      'type P = [a: string, b?: number]\ntype E = `on${string}`\ntype R<T> = T extends (infer U extends string)[] ? U : never\nexport const result: P = ["x"]',
    ),
    result: ['x'],
  },
  'variance and accessor keywords as names': {
    files: ts(
      'interface Box<in out T> { value: T }\nconst type = 1, declare = 2, namespace = 3, accessor = 4, using = 5, satisfies = 6\nexport const result = [type, declare, namespace, accessor, using, satisfies]',
    ),
    result: [1, 2, 3, 4, 5, 6],
  },
  'standard decorators': {
    files: ts(
      'function twice(f: any, _: ClassMethodDecoratorContext) { return function (this: any) { return f.call(this) * 2 } }\nclass A { n = 4; @twice m() { return this.n } }\nexport const result = new A().m()',
    ),
    result: 8,
  },
  'standard class and field decorators': {
    files: ts(
      'const seen: string[] = []\nconst note = (v: any, c: any) => { seen.push(c.kind + ":" + String(c.name)) }\nconst init = (_: any, c: any) => (v: number) => v + 1\n@note class A { @init n = 1; @note static s = 1 }\nexport const result = [seen, new A().n]',
    ),
    result: [['field:s', 'class:A'], 2],
  },
  'accessor fields': {
    files: ts(
      'class A { accessor a = 1; static accessor b = 2 }\nconst a = new A(); a.a++\nexport const result = [a.a, A.b]',
    ),
    result: [2, 2],
  },
  'decorated accessor fields': {
    files: ts(
      'const add = (t: any) => ({ get(this: any) { return t.get.call(this) + 10 } })\nclass A { @add accessor a = 1 }\nexport const result = new A().a',
    ),
    result: 11,
  },
  'legacy method decorators': {
    files: ts(
      'function twice(_: any, __: string, d: PropertyDescriptor) { const f = d.value; d.value = function () { return f.call(this) * 2 } }\nclass A { n = 4; @twice m() { return this.n } }\nexport const result = new A().m()',
      LEGACY,
    ),
    result: 8,
  },
  'legacy class and property decorators': {
    files: ts(
      'const log: string[] = []\nconst prop = (t: any, k: string) => { log.push(k) }\nconst cls = <T extends new (...a: any[]) => any>(c: T) => class extends c { extra = 1 }\n@cls class A { @prop n = 1; @prop static s = 2 }\nconst a: any = new A()\nexport const result = [log, a.n, a.extra, A.s]',
      LEGACY,
    ),
    result: [['n', 's'], 1, 1, 2],
  },
  'legacy decorators with declared and private fields': {
    files: ts(
      'const d = (t: any, k: string) => {}\nclass A { @d a!: string; #b = 1; get b() { return this.#b } }\nexport const result = new A().b',
      LEGACY,
    ),
    result: 1,
  },
  'decorators in JavaScript': {
    main: 'main.js',
    files: {
      'main.js':
        'const twice = (f) => function () { return f.call(this) * 2 }\nclass A { @twice m() { return 2 } }\nexports.result = new A().m()',
    },
    result: 4,
  },
  using: {
    files: ts(
      'const log: string[] = []\n{ using a = { [Symbol.dispose]() { log.push("closed") } }; log.push("open") }\nexport const result = log',
    ),
    result: ['open', 'closed'],
  },
  'await using': {
    files: ts(
      'const log: string[] = []\nasync function f() { await using a = { async [Symbol.asyncDispose]() { log.push("closed") } }; log.push("open") }\nexport const result = f().then(() => log)',
    ),
    result: ['open', 'closed'],
  },
  'import attributes': {
    files: ts('import data from "./d.json" with { type: "json" }\nexport const result = data.a', {
      'd.json': '{ "a": 1 }',
    }),
    result: 1,
  },
  'named imports of JSON': {
    files: ts(
      'import { a } from "./d.json"\nimport * as all from "./d.json"\nexport const result = [a, all.a]',
      { 'd.json': '{ "a": 1 }' },
    ),
    result: [1, 1],
  },
  'export =': {
    files: ts('import lib = require("./lib")\nexport const result = lib.a', {
      'lib.ts': 'const lib = { a: 5 }\nexport = lib',
    }),
    result: 5,
  },
  'import x = require': {
    files: ts('import path = require("node:path")\nexport const result = path.basename("/a/b")'),
    result: 'b',
  },
  'import alias of a namespace member': {
    files: ts('namespace N { export const a = 9 }\nimport a = N.a\nexport const result = a'),
    result: 9,
  },
  'export * as': {
    files: ts(
      'export * as lib from "./lib"\nimport * as self from "./main"\nexport const result = self.lib ? "there" : "missing"\n',
      { 'lib.ts': 'export const a = 1' },
    ),
    result: 'there',
  },
  'export * and re-exports': {
    files: ts('import { a, b, c } from "./all"\nexport const result = [a, b, c]', {
      'all.ts': 'export * from "./one"\nexport { x as b, default as c } from "./two"',
      'one.ts': 'export const a = 1',
      'two.ts': 'export const x = 2\nexport default 3',
    }),
    result: [1, 2, 3],
  },
  'export type and import type': {
    files: ts(
      'import type { T } from "./gone"\nimport { type U, a } from "./types"\nexport type { T }\nexport const result: U = a',
      { 'types.ts': 'export type U = number\nexport const a = 1' },
    ),
    result: 1,
  },
  'unused imports are left out': {
    files: ts(
      'import { Handlers, ApiRouteConfig } from "not-installed"\nexport const config: ApiRouteConfig = {}\nexport const result: Handlers["x"] = 1',
    ),
    result: 1,
  },
  'default exports': {
    files: ts(
      'import f, { g } from "./f"\nimport C from "./c"\nexport const result = [f(), g, new C().a]',
      {
        'f.ts': 'export default function () { return 1 }\nexport const g = 2',
        'c.ts': 'export default class { a = 3 }',
      },
    ),
    result: [1, 2, 3],
  },
  'live bindings': {
    files: ts('import { n, up } from "./n"\nup()\nup()\nexport const result = n', {
      'n.ts': 'export let n = 0\nexport const up = () => { n++ }',
    }),
    result: 2,
  },
  'circular imports': {
    files: ts(
      'import { b } from "./b"\nexport const a = 1\nexport function result() { return b() }',
      {
        'b.ts': 'import { a } from "./main"\nexport const b = () => a + 1',
        'run.ts': 'import { result as f } from "./main"\nexport const result = f()',
      },
    ),
    main: 'run.ts',
    result: 2,
  },
  'top-level await': {
    files: ts(
      'import { a } from "./slow"\nconst b = await Promise.resolve(2)\nexport const result = a + b',
      {
        'slow.ts': 'export const a = await new Promise<number>((done) => setTimeout(done, 5, 1))',
      },
    ),
    result: 3,
  },
  'for await at the top level': {
    files: ts(
      'let sum = 0\nfor await (const n of [Promise.resolve(1), 2]) sum += n\nexport const result = sum',
    ),
    result: 3,
  },
  'default imports and functions in a circle': {
    files: ts(
      'import { b } from "./b"\nexport default "d"\nexport function f() { return "f" }\nexport const result = b()',
      {
        'b.ts':
          'import d, { f } from "./main"\nimport * as main from "./main"\nconst early = f()\nexport const b = () => [early, d, main.default]',
      },
    ),
    result: ['f', 'd', 'd'],
  },
  'top-level await in a circle': {
    files: ts(
      'import { b } from "./b"\nexport const a = await Promise.resolve(1)\nexport const result = b()',
      {
        'b.ts': 'import * as main from "./main"\nawait null\nexport const b = () => main.a + 1',
      },
    ),
    result: 2,
  },
  'import.meta': {
    files: ts(
      'export const result = [import.meta.url.endsWith("/main.ts"), import.meta.filename === __filename, import.meta.dirname === __dirname, import.meta.resolve("./main.ts").startsWith("file:")]',
    ),
    result: [true, true, true, true],
  },
  'dynamic import': {
    files: ts(
      'export const result = Promise.all([import("./lib"), import("node:path"), import("./c.cjs")]).then(([l, p, c]) => [l.a, l.default, p.basename("/x"), c.default.z, c.z])',
      {
        'lib.ts': 'export const a = 1\nexport default 2',
        'c.cjs': 'exports.z = 3',
      },
    ),
    result: [1, 2, 'x', 3, 3],
  },
  'dynamic import in CommonJS': {
    main: 'main.js',
    files: {
      'main.js': 'exports.result = import("./lib.mjs").then((m) => m.a)',
      'lib.mjs': 'export const a = 1',
    },
    result: 1,
  },
  'this at the top level of a module': {
    files: ts('export const result = typeof this'),
    result: 'undefined',
  },
  'CommonJS in TypeScript': {
    files: {
      'main.ts':
        'const path = require("node:path")\nconst a: number = 1\nexports.result = [a, path.sep, typeof module.exports]',
    },
    result: [1, '/', 'object'],
  },
  '.cts and .mts': {
    files: ts(
      'import c from "./c.cjs"\nimport { m } from "./m.mjs"\nexport const result = [c.a, m]',
      {
        'c.cts': 'const a: number = 1\nmodule.exports = { a }',
        'm.mts': 'export const m: number = 2',
      },
    ),
    result: [1, 2],
  },
  'TSX with the automatic runtime': {
    main: 'main.tsx',
    files: {
      'main.tsx': 'const id = <T,>(t: T) => t\nexport const result = id(<p class="x">hi {1}</p>)',
      'tsconfig.json': '{ "compilerOptions": { "jsx": "react-jsx", "jsxImportSource": "#jsx" } }',
      'package.json': '{ "imports": { "#jsx/jsx-runtime": "./jsx.js" } }',
      'jsx.js': 'exports.jsx = exports.jsxs = (type, props) => ({ type, props })',
    },
    result: { type: 'p', props: { class: 'x', children: ['hi ', 1] } },
  },
  'JSX with the classic runtime': {
    main: 'main.jsx',
    files: {
      'main.jsx':
        'const h = (type, props, ...children) => ({ type, props, children })\nexport const result = <b id="1">x</b>',
      'tsconfig.json': '{ "compilerOptions": { "jsx": "react", "jsxFactory": "h" } }',
    },
    result: { type: 'b', props: { id: '1' }, children: ['x'] },
  },
  'regular expressions, separators and newer operators': {
    files: ts(
      'const a = 1_000 ** 2\nlet x: any = 0\nx ||= 2\nexport const result = [a, /(?<y>\\d+)/u.exec("12")!.groups!.y, x, [1, 2, 3].at(-1), 10n ** 2n === 100n]',
    ),
    result: [1_000_000, '12', 2, 3, true],
  },
  'async generators and labels': {
    files: ts(
      'async function* g() { yield 1; yield* [2, 3] }\nasync function f() { const all: number[] = []; outer: for await (const n of g()) { if (n === 3) break outer; all.push(n) } return all }\nexport const result = f()',
    ),
    result: [1, 2],
  },
  'a hashbang, a byte order mark and CRLF': {
    files: {
      'main.ts': '\uFEFF#!/usr/bin/env node\r\nconst a: number = 1\r\nexport const result = a',
    },
    result: 1,
  },
  'a module that mixes import and module.exports': {
    main: 'main.js',
    files: {
      'main.js': 'import path from "node:path"\nmodule.exports = { result: path.basename("/a/b") }',
    },
    result: 'b',
  },
  'assigned class fields': {
    files: {
      'tsconfig.json':
        '{ "compilerOptions": { "experimentalDecorators": true, "useDefineForClassFields": false } }',
      'main.ts':
        'class A { set x(v: number) { this.seen = v } seen = 0 }\nclass B extends A { x = 5 }\nexport const result = new B().seen',
    },
    result: 5,
  },
}

for (const [name, { main = 'main.ts', files, result }] of Object.entries(CASES)) {
  test(`runs ${name}`, async () => {
    using project = new Project(files)
    const exports = await project.load(main)
    const value: unknown = await exports['result']
    assert.deepEqual(value, result)
  })
}

test('runs the tests of this list twice from the cache', async () => {
  using project = new Project({
    'main.ts': 'export const result: number = await Promise.resolve(4)',
  })
  await project.load('main.ts')
  using again = new Project({ 'main.ts': 'export const result: number = await Promise.resolve(4)' })
  assert.equal((await again.load('main.ts'))['result'], 4)
})

test('keeps every line where it was', async () => {
  const source = `import type { A } from './types'
interface B {
  a: number
}
enum Color {
  Red,

  Green,
}
function twice(f: any) { return f }
class Shape {
  constructor(
    readonly color: Color,
  ) {}

  @twice
  fail(): never {
    throw new Error('here')
  }
}
export const result = () => {
  const shape = new Shape(
    Color.Green,
  )
  return shape.fail()
}
`
  using project = new Project({ 'main.ts': source })
  const { result } = await project.load('main.ts')
  assert.throws(
    () => (result as () => void)(),
    (error: Error) => {
      const lines = [...(error.stack ?? '').matchAll(/main\.ts:(\d+)/g)].map((match) =>
        Number(match[1]),
      )
      assert.deepEqual(lines.slice(0, 2), [18, 25])
      return true
    },
  )
})

test('refuses `using` in a module, where it would close before any handler runs', async () => {
  using project = new Project({
    'main.ts': 'export const a = 1\nusing b = { [Symbol.dispose]() {} }',
  })
  await assert.rejects(project.load('main.ts'), { line: 2, message: /belongs into a function/ })
})

test('names the place of a syntax error', async () => {
  using project = new Project({ 'main.ts': 'export const a = 1\nconst b: = 2\n' })
  await assert.rejects(project.load('main.ts'), {
    name: 'LoadError',
    type: 'SyntaxError',
    line: 2,
    column: 10,
    message: 'Unexpected token',
  })
})
