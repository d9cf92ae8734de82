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
import type { Compiled, CompilerOptions, StaticImport } from './transform'

/** The CommonJS form of a file. Throws Babel's SyntaxError, with `loc` and a code frame. */
export function compile(source: string, file: string, options: CompilerOptions): Compiled {
  const found: Found = { async: false, imports: [] }
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
  return { code: result?.code ?? '', async: found.async, imports: found.imports }
}

interface Found {
  async: boolean
  imports: StaticImport[]
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

/**
 * Points `import()` and `import.meta` at the loader's own, notes which modules are imported, and
 * whether the module awaits at its top level.
 */
function runtime(found: Found): PluginObj {
  return {
    name: 'stepweave-runtime',
    visitor: {
      Program: {
        exit(program) {
          for (const statement of program.node.body) {
            const from = 'source' in statement ? statement.source : undefined
            if (from && t.isStringLiteral(from)) found.imports.push(place(from))
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
      VariableDeclaration(path) {
        if ((path.node.kind as string) === 'await using') noteTopLevel(path)
      },
    },
  }

  function noteTopLevel(path: NodePath): void {
    if (path.getFunctionParent() === null && !insideClassBody(path)) found.async = true
  }
}

function insideClassBody(path: NodePath): boolean {
  return path.findParent((parent) => parent.isClassProperty() || parent.isStaticBlock()) !== null
}

function place(source: t.StringLiteral): StaticImport {
  return {
    specifier: source.value,
    line: source.loc?.start.line ?? 1,
    column: (source.loc?.start.column ?? 0) + 1,
  }
}
