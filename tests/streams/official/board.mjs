// board.mjs CHROMIUM BASE: the page of the example live-orders, used as a person would.
import { launch } from './launch.mjs'

const [executablePath, base] = process.argv.slice(2)
const browser = await launch(executablePath)
const page = await browser.newPage()
const problems = []
page.on('pageerror', (error) => problems.push(error.message))
page.on('console', (message) => message.type() === 'error' && problems.push(message.text()))
await page.goto(base)
await page.getByRole('button', { name: 'Lunch rush' }).click()
const delivered = page.locator('section[data-status=delivered]')
await delivered.locator('output', { hasText: /^12$/ }).waitFor()
await page.locator('footer', { hasText: /delivered in/ }).waitFor()
const other = await browser.newPage()
await other.goto(base)
await other.locator('section[data-status=delivered] li').nth(11).waitFor()
await page.getByRole('button', { name: 'Clear delivered' }).click()
await delivered.getByText('Nothing yet today.').waitFor()
await other.getByText('Nothing yet today.').waitFor()
await browser.close()
if (problems.length > 0) throw new Error(problems.join('\n'))
