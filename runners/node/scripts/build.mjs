// Builds dist/main.cjs and dist/babel.cjs: everything the runner needs, in two files.
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
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
    const replaced =
      /(?:files\/index|resolve-targets|transform-file|read-input-source-map-file)\.js$/
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
  const bundles = []
  bundles.push(
    await build({
      ...common,
      entryPoints: [source('babel.ts')],
      outfile: babel,
      minify: true,
      metafile: true,
      plugins: [slim],
    }),
  )
  const define = {
    __BABEL_ID__: JSON.stringify(createHash('sha256').update(readFileSync(babel)).digest('hex')),
    __VERSION__: JSON.stringify(version),
  }
  bundles.push(
    await build({
      ...common,
      entryPoints: [source('main.ts')],
      outfile: join(folder, 'main.cjs'),
      minifySyntax: true,
      minifyWhitespace: true,
      alias: { 'zod/v3': source('zod3-kinds.ts') },
      metafile: true,
      define,
    }),
  )
  writeFileSync(join(folder, 'LICENSES.txt'), licenses(bundles))
  return define
}

/** The licence texts of every package of which something is in the bundles. */
function licenses(bundles) {
  const inputs = bundles.flatMap(({ metafile }) => Object.keys(metafile.inputs))
  const packages = inputs.map((path) => /.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0])
  const texts = [...new Set(packages.filter(Boolean))].sort().map((path) => {
    const folder = join(process.cwd(), path)
    const { name, version, license } = JSON.parse(
      readFileSync(join(folder, 'package.json'), 'utf8'),
    )
    const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry))
    const text = file === undefined ? '' : readFileSync(join(folder, file), 'utf8').trim()
    return `${name} ${version} (${license})\n\n${text}\n`
  })
  return texts.join(`\n${'-'.repeat(78)}\n\n`)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const dist = join(home, 'dist')
  rmSync(dist, { recursive: true, force: true })
  mkdirSync(dist)
  await buildAll(dist)
}
