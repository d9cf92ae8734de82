// What is told of an error: its type, message, stack text and the author's own frames.
import { fileURLToPath } from 'node:url'
import { codeOf, messageOf } from './errors'
import type { ErrorFields } from './peer'

const MAX_MESSAGE = 8 * 1024
const MAX_TRACE = 32 * 1024
const MAX_FRAMES = 20
const MAX_CAUSES = 5

// How the loader runs modules.
const PAUSE = 'at Generator.next (<anonymous>)'

export interface Frame {
  file: string
  line: number
  function: string
}

/** Knows which files are the author's: those below the project, outside node_modules. */
export class Stacks {
  /** The project folder, absolute; the empty text before it is known. */
  root = ''
  private readonly runner: string

  /** `runner` is the file of this program: its frames are nobody's business. */
  constructor(runner: string) {
    this.runner = runner
  }

  /** The error map for whatever was thrown. */
  fields(code: string, thrown: unknown): ErrorFields {
    const text = this.trace(thrown)
    const frames = this.frames(stackText(thrown))
    return {
      code,
      message: messageOf(thrown).slice(0, MAX_MESSAGE),
      type: typeOf(thrown),
      ...(text === '' ? {} : { trace: text }),
      ...(frames.length === 0 ? {} : { frames }),
    }
  }

  /**
   * The error map for a fault with a code of its own, which has no stack of the author's; for any
   * other error as `fields` with the code `otherwise`.
   */
  ownFields(thrown: unknown, otherwise: string): ErrorFields {
    const code = codeOf(thrown)
    if (!(thrown instanceof Error) || code === undefined || !/^[a-z_]+$/.test(code)) {
      return this.fields(otherwise, thrown)
    }
    const message = messageOf(thrown).slice(0, MAX_MESSAGE)
    return thrown.name === 'StepweaveError'
      ? { code, message }
      : { code, message, type: thrown.name }
  }

  /** The stack text with its causes, without the frames of this program. */
  trace(thrown: unknown): string {
    const parts: string[] = []
    let current: unknown = thrown
    for (let depth = 0; depth < MAX_CAUSES && current !== undefined; depth++) {
      const text = this.withoutRunner(stackText(current))
      if (text !== '') parts.push(depth === 0 ? text : `Caused by: ${text}`)
      current = causeOf(current)
    }
    return parts.join('\n').slice(0, MAX_TRACE)
  }

  /** The frames of a stack text: the author's files, or all others if there are none. */
  frames(text: string): Frame[] {
    const all = this.withoutRunner(text)
      .split('\n')
      .map(parseFrame)
      .filter((frame) => frame !== undefined)
    const own = all.filter((frame) => this.isOwn(frame.file))
    return (own.length > 0 ? own : all).slice(0, MAX_FRAMES)
  }

  isOwn(file: string): boolean {
    return file.startsWith(`${this.root}/`) && !file.includes('/node_modules/')
  }

  /** Without this program's frames, and without those of Node that lead to nothing else. */
  private withoutRunner(text: string): string {
    const lines = text.split('\n')
    const kept = lines.filter((line) => !line.includes(this.runner) && !line.endsWith(PAUSE))
    while (NODE_FRAME.test(kept.at(-1) ?? '')) kept.pop()
    return kept.join('\n')
  }
}

const NODE_FRAME = /^\s+at .*\(?node:/

/** The name of an error's class, or what kind of value was thrown instead of an error. */
export function typeOf(thrown: unknown): string {
  try {
    if (thrown instanceof Error) {
      // A class that did not set its name still has one.
      return thrown.name === 'Error' ? thrown.constructor.name : String(thrown.name)
    }
    if (typeof thrown === 'object' && thrown !== null) {
      const { constructor } = thrown
      return typeof constructor === 'function' && constructor.name ? constructor.name : 'Object'
    }
    return thrown === null ? 'null' : typeof thrown
  } catch {
    return 'unknown'
  }
}

function stackText(thrown: unknown): string {
  try {
    if (typeof thrown !== 'object' || thrown === null || !('stack' in thrown)) return ''
    return typeof thrown.stack === 'string' ? thrown.stack : ''
  } catch {
    return ''
  }
}

function causeOf(thrown: unknown): unknown {
  try {
    if (typeof thrown !== 'object' || thrown === null) return undefined
    if (thrown instanceof AggregateError && thrown.cause === undefined) return thrown.errors[0]
    return 'cause' in thrown ? thrown.cause : undefined
  } catch {
    return undefined
  }
}

const FRAME = /^\s+at (?:(?:async )?(.+?) \()?(?:async )?((?:file:\/\/|\/).+?):(\d+):\d+\)?$/

/** A line of V8's stack text; undefined for Node's own files and for other lines. */
function parseFrame(line: string): Frame | undefined {
  const match = FRAME.exec(line)
  if (match === null) return undefined
  const [, name, place, number] = match as unknown as [string, string | undefined, string, string]
  const file = place.startsWith('file://') ? fromUrl(place) : place
  return { file, line: Number(number), function: name ?? '<module>' }
}

function fromUrl(url: string): string {
  try {
    return fileURLToPath(url)
  } catch {
    return url
  }
}
