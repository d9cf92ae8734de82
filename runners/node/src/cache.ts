// Transformed files on disk, by the hash of their source: a warm start transforms nothing.
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Compiled } from './transform'

// Each edit leaves an entry behind; past the limit the older half goes.
const MAX_ENTRIES = 5_000

/** The first line of an entry. */
type Head = Omit<Compiled, 'code'> & { size: number }

/** Never throws: without a usable folder every file is transformed anew. */
export class CompileCache {
  /** Where the entries are; undefined if there is no folder to trust. */
  readonly folder: string | undefined
  private writes = 0

  constructor(folder: string | undefined) {
    this.folder = folder ?? ownTemporaryFolder()
  }

  read(key: string): Compiled | undefined {
    if (this.folder === undefined) return undefined
    try {
      const text = readFileSync(this.path(key), 'utf8')
      const end = text.indexOf('\n')
      const head = JSON.parse(text.slice(0, end)) as Head
      const code = text.slice(end + 1)
      // A file that was cut short by a full disk.
      if (code.length !== head.size) return undefined
      return { code, kind: head.kind, imports: head.imports }
    } catch {
      return undefined
    }
  }

  write(key: string, compiled: Compiled): void {
    if (this.folder === undefined) return
    const { code, ...rest } = compiled
    const head = JSON.stringify({ ...rest, size: code.length })
    this.writeWhole(this.path(key), `${head}\n${code}`)
    if (this.writes++ % 500 === 0) this.prune()
  }

  /** Puts a file into the folder at once and whole, or not at all. */
  writeWhole(path: string, content: string | Uint8Array): void {
    const temporary = `${path}.${process.pid}`
    try {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
      writeFileSync(temporary, content, { mode: 0o600 })
      renameSync(temporary, path)
    } catch {
      discard(temporary)
    }
  }

  private path(key: string): string {
    return join(this.folder as string, `${key}.js`)
  }

  private prune(): void {
    const folder = this.folder as string
    try {
      const names = readdirSync(folder)
      if (names.length <= MAX_ENTRIES) return
      const aged = names
        .map((name) => ({ path: join(folder, name), at: statSync(join(folder, name)).mtimeMs }))
        .sort((one, other) => one.at - other.at)
      for (const { path } of aged.slice(0, aged.length / 2)) rmSync(path, { force: true })
    } catch {
      // Another runner is at it.
    }
  }
}

function discard(path: string): void {
  try {
    rmSync(path, { force: true })
  } catch {
    // There is not even a folder to have it in.
  }
}

/**
 * A folder of this user's alone below the system's temporary one. Code is run from it, so one that
 * others could write to is not used.
 */
function ownTemporaryFolder(): string | undefined {
  const user = process.getuid?.() ?? 0
  const folder = join(tmpdir(), `stepweave-${user}`, 'node')
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    for (const path of [join(tmpdir(), `stepweave-${user}`), folder]) {
      const stat = lstatSync(path)
      if (!stat.isDirectory() || stat.uid !== user || (stat.mode & 0o022) !== 0) return undefined
    }
    return folder
  } catch {
    return undefined
  }
}
