// Ends this process when the orchestrator is gone while a handler keeps the loop from noticing.
import { Worker } from 'node:worker_threads'

const EVERY_MS = 1_000

// A text, since a worker of its own file would be one more file to ship. It has no access to
// anything but the id of the parent, which changes when the parent dies.
const SOURCE = `
const { workerData } = require('node:worker_threads')
setInterval(() => {
  if (process.ppid !== workerData.parent) process.kill(process.pid, 'SIGKILL')
}, workerData.everyMs)
`

/** Begins to watch, in a thread of its own (10 MB); does not keep the process alive. */
export function watchParent(parent: number): void {
  const worker = new Worker(SOURCE, {
    eval: true,
    workerData: { parent, everyMs: EVERY_MS },
    execArgv: [],
    env: {},
    trackUnmanagedFds: false,
    resourceLimits: { maxOldGenerationSizeMb: 8, maxYoungGenerationSizeMb: 1, stackSizeMb: 1 },
  })
  worker.unref()
  // Without it, only a handler that never yields can outlive the orchestrator.
  worker.on('error', () => {})
}
