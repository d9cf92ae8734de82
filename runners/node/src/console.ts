// Keeps what user code prints away from the wire, and makes log records of it.
//
// Descriptors 0 and 1 were moved to 3 and 4 by the launch, and 1 points at stderr, so nothing that
// is printed can reach the frames. This file only adds whose handler printed it.
import { formatWithOptions } from 'node:util'
import { scopes } from './current'
import type { Level, Scope, ScopeLogs } from './scope'

type Source = 'stdout' | 'stderr'
type Method = 'log' | 'info' | 'debug' | 'warn' | 'error' | 'trace'

const METHODS: Record<Method, { level: Level; source: Source }> = {
  log: { level: 'info', source: 'stdout' },
  info: { level: 'info', source: 'stdout' },
  debug: { level: 'debug', source: 'stdout' },
  warn: { level: 'warn', source: 'stderr' },
  error: { level: 'error', source: 'stderr' },
  trace: { level: 'debug', source: 'stderr' },
}

const LEVELS: Record<Source, Level> = { stdout: 'info', stderr: 'warn' }
// A line that never ends is cut here.
const LONGEST_PARTIAL = 16 * 1024

/** Sends what `console` and the standard streams get to `logs`, with the scope it belongs to. */
export function capture(logs: ScopeLogs): void {
  const indent = indentation()
  for (const [name, { level, source }] of Object.entries(METHODS)) {
    console[name as Method] = (...args: unknown[]) => {
      const scope = scopes.getStore()
      if (scope?.partial) endLine(scope, source)
      const text = indent.apply(scope, format(args))
      const message = name === 'trace' ? withStack(text) : text
      logs.write(scope, { level, message, source })
    }
  }
  process.stdout.write = writer('stdout', logs)
  process.stderr.write = writer('stderr', logs)
}

/** Says what a scope printed without an end of line; called when it closes. */
export function endLines(scope: Scope): void {
  if (scope.partial === undefined) return
  endLine(scope, 'stdout')
  endLine(scope, 'stderr')
}

function format(args: unknown[]): string {
  return args.length === 1 && typeof args[0] === 'string'
    ? args[0]
    : formatWithOptions({ colors: false }, ...args)
}

function withStack(text: string): string {
  const holder: { stack?: string } = {}
  Error.captureStackTrace(holder, console.trace)
  const lines = (holder.stack ?? '').split('\n').slice(1)
  return [text === '' ? 'Trace' : `Trace: ${text}`, ...lines].join('\n')
}

/** `console.group`, per scope: handlers run side by side. */
function indentation(): { apply(scope: Scope | undefined, text: string): string } {
  const depths = new WeakMap<object, number>()
  const nowhere = {}
  const change = (by: number): void => {
    const owner = scopes.getStore() ?? nowhere
    depths.set(owner, Math.max(0, (depths.get(owner) ?? 0) + by))
  }
  let used = false
  console.group = console.groupCollapsed = (...labels: unknown[]): void => {
    if (labels.length > 0) console.log(...labels)
    used = true
    change(1)
  }
  console.groupEnd = () => change(-1)
  return {
    apply(scope, text) {
      const depth = used ? (depths.get(scope ?? nowhere) ?? 0) : 0
      return depth === 0 ? text : text.replace(/^/gm, '  '.repeat(depth))
    },
  }
}

type Write = typeof process.stdout.write
type Done = (error?: Error | null) => void

/** A `write` for a standard stream: whole lines become records, the rest waits in its scope. */
function writer(source: Source, logs: ScopeLogs): Write {
  let unscoped = ''
  return (
    chunk: Uint8Array | string,
    encoding?: BufferEncoding | Done,
    callback?: Done,
  ): boolean => {
    const scope = scopes.getStore()
    const before = scope === undefined ? unscoped : (scope.partial?.[source] ?? '')
    const text = before + textOf(chunk, typeof encoding === 'string' ? encoding : 'utf8')
    const lines = text.split('\n')
    let rest = lines.pop() ?? ''
    for (const message of lines) logs.write(scope, { level: LEVELS[source], message, source })
    if (rest.length > LONGEST_PARTIAL) {
      logs.write(scope, { level: LEVELS[source], message: rest, source })
      rest = ''
    }
    if (scope === undefined) unscoped = rest
    else if (rest !== '' || scope.partial) {
      scope.partial ??= { stdout: '', stderr: '' }
      scope.partial[source] = rest
    }
    const done = typeof encoding === 'function' ? encoding : callback
    if (done) process.nextTick(done)
    return true
  }
}

function textOf(chunk: Uint8Array | string, encoding: BufferEncoding): string {
  if (typeof chunk === 'string') {
    const plain = encoding === 'utf8' || encoding === 'utf-8'
    return plain ? chunk : Buffer.from(chunk, encoding).toString('utf8')
  }
  return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString('utf8')
}

function endLine(scope: Scope, source: Source): void {
  const message = scope.partial?.[source]
  if (!scope.partial || message === undefined || message === '') return
  scope.partial[source] = ''
  scope.logs.write(scope, { level: LEVELS[source], message, source })
}
