// Prints each failure in full, a dot for the rest, and one line that counts them.
import { inspect } from 'node:util'

export default async function* report(events) {
  const counts = { passed: 0, failed: 0, skipped: 0 }
  const failures = []
  for await (const { type, data } of events) {
    if (type === 'test:stdout' || type === 'test:stderr') yield data.message
    if (type !== 'test:pass' && type !== 'test:fail') continue
    if (data.details?.type === 'suite') continue
    if (data.skip !== undefined && data.skip !== false) counts.skipped++
    else if (type === 'test:pass') counts.passed++
    else {
      counts.failed++
      failures.push(data)
    }
    yield type === 'test:pass' ? '.' : 'F'
  }
  yield '\n'
  for (const { name, file, details } of failures) {
    const error = inspect(details.error?.cause ?? details.error, { depth: 6 })
    yield `\n✖ ${name}\n  ${file ?? ''}\n${error}\n`
  }
  yield `\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`
}
