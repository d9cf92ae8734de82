// The transformer, built into a file of its own: it is loaded only when a file must be transformed
// and is not in the cache. Its result keeps every line where it was, so stacks need no source maps.
import {
  type NodePath,
  type PluginItem,
  type PluginObj,
  transformSync,
  types as t,
} from '@babel/core'
import decorators from '@babel/plugin-proposal-decorators'
import classProperties from '@babel/plugin-transform-class-properties'
import namespaceFrom from '@babel/plugin-transform-export-namespace-from'
import resources from '@babel/plugin-transform-explicit-resource-management'
import commonjs from '@babel/plugin-transform-modules-commonjs'
import jsx from '@babel/plugin-transform-react-jsx'
import typescript from '@babel/plugin-transform-typescript'
import type { Compiled, CompilerOptions } from './transform'

/** The CommonJS form of a file. Throws Babel's SyntaxError, with `loc` and a code frame. */
export function compile(source: string, file: string, options: CompilerOptions): Compiled {
  const found: Found = { kind: 'plain', imports: [], places: new Map() }
  const result = transformSync(source, {
    filename: file,
    cwd: '/',
    root: '/',
    configFile: false,
    babelrc: false,
    browserslistConfigFile: false,
    sourceType: sourceType(file),
    compact: false,
    comments: false,
    retainLines: true,
    highlightCode: false,
    parserOpts: {
      allowAwaitOutsideFunction: true,
      allowReturnOutsideFunction: true,
      allowNewTargetOutsideFunction: true,
      errorRecovery: false,
    },
    plugins: plugins(file, options, found),
  })
  const { kind, imports } = found
  return { code: result?.code ?? '', kind, imports }
}

interface Found extends Pick<Compiled, 'kind' | 'imports'> {
  /** Where each module is first imported. */
  places: Map<string, t.SourceLocation>
}

function sourceType(file: string): 'module' | 'unambiguous' {
  return /\.m[jt]s$/.test(file) ? 'module' : 'unambiguous'
}

function plugins(file: string, options: CompilerOptions, found: Found): PluginItem[] {
  const isTypeScript = /\.[cm]?tsx?$/.test(file)
  const hasJsx = /x$/.test(file) || !isTypeScript
  const list: PluginItem[] = [() => runtime(found)]
  if (isTypeScript) {
    list.push([
      typescript,
      {
        isTSX: /\.tsx$/.test(file),
        allowDeclareFields: true,
        onlyRemoveTypeImports: options.verbatimModuleSyntax,
        disallowAmbiguousJSXLike: /\.[cm]ts$/.test(file),
        jsxPragma: options.jsxFactory?.split('.')[0] ?? 'React',
      },
    ])
  }
  list.push(
    options.legacyDecorators
      ? [decorators, { version: 'legacy' }]
      : [decorators, { version: '2023-11' }],
  )
  if (options.legacyDecorators) list.push([classProperties, { loose: options.assignFields }])
  list.push(resources)
  if (hasJsx) list.push([jsx, jsxOptions(options)])
  list.push(namespaceFrom, [commonjs, { strictMode: true, importInterop: 'babel' }])
  list.push(() => pauses(found))
  return list
}

function jsxOptions(options: CompilerOptions): Record<string, unknown> {
  if (options.jsx !== 'react') {
    return { runtime: 'automatic', importSource: options.jsxImportSource ?? 'react' }
  }
  return {
    runtime: 'classic',
    pragma: options.jsxFactory ?? 'React.createElement',
    pragmaFrag: options.jsxFragmentFactory ?? 'React.Fragment',
  }
}

/** Points `import()` and `import.meta` at the loader's own and notes a top-level await. */
function runtime(found: Found): PluginObj {
  return {
    name: 'stepweave-runtime',
    visitor: {
      Program: {
        enter(program) {
          if (program.node.sourceType === 'module') forbidUsing(program)
        },
        // Before the imports become calls, and after those of types alone are gone.
        exit(program) {
          const isModule = program.node.sourceType === 'module'
          if (isModule && found.kind === 'plain') found.kind = 'generator'
          for (const statement of program.node.body) {
            const from = 'source' in statement ? statement.source : undefined
            if (!from?.loc || !t.isStringLiteral(from) || found.places.has(from.value)) continue
            found.places.set(from.value, from.loc)
          }
        },
      },
      MetaProperty(path) {
        if (path.node.meta.name === 'import') path.replaceWith(t.identifier('__importMeta'))
      },
      Import(path) {
        path.replaceWith(t.identifier('__import'))
      },
      AwaitExpression: noteTopLevel,
      ForOfStatement(path) {
        if (path.node.await) noteTopLevel(path)
      },
    },
  }

  function noteTopLevel(path: NodePath): void {
    if (path.getFunctionParent() === null && !insideClassBody(path)) found.kind = 'async'
  }
}

/** What is disposed of when the module has run is gone before any handler runs. */
function forbidUsing(program: NodePath<t.Program>): void {
  for (const statement of program.get('body')) {
    const kind = statement.isVariableDeclaration() ? (statement.node.kind as string) : ''
    if (!kind.endsWith('using')) continue
    throw statement.buildCodeFrameError(`\`${kind}\` belongs into a function, not into the module`)
  }
}

function insideClassBody(path: NodePath): boolean {
  return path.findParent((parent) => parent.isClassProperty() || parent.isStaticBlock()) !== null
}

/**
 * Makes the module pause at each import, so that the loader can take its time to load it. All that
 * an import in a circle may ask for, such as functions, is exported before the first pause.
 */
function pauses(found: Found): PluginObj {
  return {
    name: 'stepweave-pauses',
    visitor: {
      Program: {
        exit(program) {
          if (found.kind === 'plain') return
          program.traverse({
            Function: (path) => path.skip(),
            CallExpression(path) {
              const [argument] = path.node.arguments
              if (!isGeneratedRequire(path.node) || !t.isStringLiteral(argument)) return
              const specifier = argument.value
              const { line = 1, column = 0 } = found.places.get(specifier)?.start ?? {}
              const place = { specifier, line, column: column + 1 }
              const index = t.numericLiteral(found.imports.push(place) - 1)
              path.replaceWith(pause(found.kind, index))
              path.skip()
            },
          })
        },
      },
    },
  }
}

function pause(kind: Compiled['kind'], index: t.NumericLiteral): t.Expression {
  if (kind === 'generator') return t.yieldExpression(index)
  const loaded = t.awaitExpression(t.callExpression(t.identifier('__load'), [index]))
  // In a list: awaiting exports with a function `then` would call it.
  return t.memberExpression(loaded, t.numericLiteral(0), true)
}

/** What the author wrote has a place in the source. */
function isGeneratedRequire({ callee }: t.CallExpression): boolean {
  return t.isIdentifier(callee, { name: 'require' }) && !callee.loc
}
