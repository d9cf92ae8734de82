// browser.mjs CHROMIUM BASE SCENARIO...: runs scenarios of page.mjs in a headless browser.
import { build } from 'esbuild'
import { launch } from './launch.mjs'

const [executablePath, base, ...names] = process.argv.slice(2)
const { outputFiles } = await build({
  absWorkingDir: import.meta.dirname,
  entryPoints: ['page.mjs'],
  bundle: true,
  write: false,
  format: 'iife',
  jsx: 'automatic',
  define: { 'process.env.NODE_ENV': '"production"' },
})
const browser = await launch(executablePath)
const page = await browser.newPage()
page.on('console', (message) => console.error(`console: ${message.text()}`))
// A page of the server itself, which may use its routes.
await page.goto(`${base}/page`)
await page.addScriptTag({ content: outputFiles[0].text })
let failed = 0
for (const name of names) {
  try {
    await page.evaluate((scenario) => globalThis.scenarios[scenario](), name)
    console.log(`passed: ${name}`)
  } catch (error) {
    failed++
    console.log(`failed: ${name}: ${error.message}`)
  }
}
await browser.close()
process.exit(failed)
