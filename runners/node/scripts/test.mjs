// Builds the runner and its tests into a temporary folder and runs them with Node's test runner.
// Arguments are parts of test file names: `npm test -- loader frame`.
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { buildAll, common, home } from './build.mjs'

const wanted = process.argv.slice(2)
const folder = mkdtempSync(join(tmpdir(), 'stepweave-node-'))
try {
  const dist = join(folder, 'dist')
  mkdirSync(dist)
  const define = await buildAll(dist)
  const names = readdirSync(join(home, 'src'))
    .filter((name) => name.endsWith('.test.ts'))
    .filter((name) => wanted.length === 0 || wanted.some((part) => name.includes(part)))
  const out = join(folder, 'tests')
  await build({
    ...common,
    entryPoints: names.map((name) => join(home, 'src', name)),
    outdir: out,
    sourcemap: 'inline',
    outExtension: { '.js': '.cjs' },
    packages: 'external',
    alias: { 'zod/v3': join(home, 'src', 'zod3-kinds.ts') },
    define: {
      ...define,
      __HOME__: JSON.stringify(home),
      __DIST__: JSON.stringify(dist),
    },
  })
  symlinkSync(join(home, 'node_modules'), join(folder, 'node_modules'))
  // Where the loader looks for the transformer.
  cpSync(join(dist, 'babel.cjs'), join(out, 'babel.cjs'))
  const { status } = spawnSync(
    process.execPath,
    [
      '--enable-source-maps',
      // Of the loader, when it runs in a test's own process.
      '--disable-warning=ExperimentalWarning',
      '--test',
      // A guard against a hang, not a limit: nothing comes near it. In milliseconds.
      '--test-timeout=300000',
      `--test-reporter=${join(home, 'scripts', 'reporter.mjs')}`,
      '--test-reporter-destination=stdout',
      ...names.map((name) => join(out, name.replace(/\.ts$/, '.cjs'))),
    ],
    { stdio: 'inherit' },
  )
  process.exitCode = status ?? 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
