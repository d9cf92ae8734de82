// Starts the runner: descriptor 3 brings frames, descriptor 4 takes them.
import { fstatSync } from 'node:fs'
import { isatty } from 'node:tty'
import { Connection } from './connection'
import { complain } from './complain'
import { scopes } from './current'
import { Host, MAX_FRAME } from './host'
import { Logs } from './logs'
import { Peer } from './peer'
import { Stacks, typeOf } from './stack'
import { codeOf, messageOf } from './errors'

const INPUT = 3
const OUTPUT = 4

function main(): void {
  const problem = wrongLaunch()
  if (problem !== undefined) {
    complain(
      `${problem}. The Node runner is started by the orchestrator, as\n` +
        `  sh -c 'exec "$@" 3<&0 4>&1 0</dev/null 1>&2' sh node ${__filename}`,
    )
    process.exit(64)
  }
  // Deep frameworks would push the author's own frames out of the usual ten.
  Error.stackTraceLimit = 25
  const connection = new Connection(INPUT, OUTPUT)
  const peer = new Peer(connection)
  const logs = new Logs(peer, connection)
  const stacks = new Stacks(__filename)
  survive(logs, stacks)
  hush()
  // Ctrl-C in a terminal reaches the whole group; the orchestrator decides when this one ends.
  process.on('SIGINT', () => {})
  process.on('exit', () => connection.leave())
  peer.serve(new Host({ peer, connection, logs, stacks }), MAX_FRAME)
}

/** What is wrong with the descriptors, or undefined. */
function wrongLaunch(): string | undefined {
  // Without the launch above, 3 and 4 are Node's own: only what 0 is tells the two apart.
  if (isPipe(0) || isatty(0)) return 'descriptor 0 still is the input'
  if (!isPipe(INPUT) || !isPipe(OUTPUT)) return `descriptors ${INPUT} and ${OUTPUT} are no pipes`
  return undefined
}

function isPipe(fd: number): boolean {
  try {
    const stat = fstatSync(fd)
    return stat.isFIFO() || stat.isSocket()
  } catch {
    return false
  }
}

// What Node says of the two ways in which packages for import alone are loaded.
const OWN_WARNINGS = /USE_MAIN_CONTEXT_DEFAULT_LOADER|is loading ES Module .* using require\(\)/

/** Leaves out warnings that an author can do nothing about. */
function hush(): void {
  const { emitWarning } = process
  process.emitWarning = ((warning: unknown, ...rest: unknown[]) => {
    if (OWN_WARNINGS.test(String(warning))) return
    Reflect.apply(emitWarning, process, [warning, ...rest])
  }) as typeof process.emitWarning
}

/** Errors that nobody caught are logged, for their handler if it is known; others go on running. */
function survive(logs: Logs, stacks: Stacks): void {
  const report = (what: string) => (thrown: unknown) => {
    const scope = scopes.getStore()
    // A handler that was cancelled leaves calls behind that nobody waits for.
    if (scope?.closed === true && codeOf(thrown) === 'cancelled') return
    const name = typeOf(thrown)
    const message = messageOf(thrown)
    logs.write(scope, {
      level: 'error',
      message: `${what} ${name}: ${message}`,
      fields: { error: { name, message, stack: stacks.trace(thrown) } },
    })
  }
  process.on('uncaughtException', report('Uncaught'))
  process.on('unhandledRejection', report('Unhandled rejection of'))
}

main()
