// A headless browser with nothing in it that looks for the network.
import { chromium } from 'playwright-core'

export function launch(executablePath) {
  const quiet = ['--disable-background-networking', '--disable-component-update', '--disable-sync']
  const args = ['--no-sandbox', '--disable-gpu', '--no-first-run', ...quiet]
  return chromium.launch({ executablePath, args })
}
