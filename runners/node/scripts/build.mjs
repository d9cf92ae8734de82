// Builds dist/main.cjs and dist/babel.cjs: everything the runner needs, in two files.
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

export const home = dirname(dirname(fileURLToPath(import.meta.url)))
const source = (name) => join(home, 'src', name)

/** What both the program and its tests are built with. */
export const common = {
  bundle: true,
  platform: 'node',
  target: 'node20.19',
  format: 'cjs',
  charset: 'utf8',
  legalComments: 'none',
  logLevel: 'warning',
}

/**
 * Babel without its search for configuration files and without its tables of browsers: the
 * settings come from src/babel.ts, and the target is the Node that runs it.
 */
const slim = {
  name: 'slim',
  setup(plugin) {
    plugin.onResolve({ filter: /^@babel\/helper-compilation-targets$/ }, () => ({
      path: source('babel-targets.ts'),
    }))
    const replaced = /(?:config\/files\/index|files\/index|resolve-targets|transform-file|read-input-source-map-file)\.js$/
    plugin.onResolve({ filter: replaced }, ({ path, resolveDir }) =>
      resolveDir.includes('@babel/core')
        ? { path: join(resolveDir, path.replace(/\.js$/, '-browser.js')) }
        : undefined,
    )
  },
}

/** Builds both files into `folder` and returns the values that sources take from the build. */
export async function buildAll(folder) {
  const { version } = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8'))
  const babel = join(folder, 'babel.cjs')
  await build({
    ...common,
    entryPoints: [source('babel.ts')],
    outfile: babel,
    minify: true,
    plugins: [slim],
  })
  const define = {
    __BABEL_ID__: JSON.stringify(createHash('sha256').update(readFileSync(babel)).digest('hex')),
    __VERSION__: JSON.stringify(version),
  }
  await build({
    ...common,
    entryPoints: [source('main.ts')],
    outfile: join(folder, 'main.cjs'),
    minifySyntax: true,
    minifyWhitespace: true,
    alias: { 'zod/v3': source('zod3-kinds.ts') },
    define,
  })
  return define
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const dist = join(home, 'dist')
  rmSync(dist, { recursive: true, force: true })
  mkdirSync(dist)
  await buildAll(dist)
}
