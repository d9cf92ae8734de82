// The files of a form that was uploaded.
import { readFileSync } from 'node:fs'

/** One file; `path` is where it is on disk, null for one in memory. */
export class UploadedFile {
  /** The name of the form's field. */
  readonly field: string
  /** The file's name as the client calls it, without folders. */
  readonly name: string
  /** Its type as the client calls it. */
  readonly type: string
  /** In bytes. */
  readonly size: number
  readonly path: string | null
  readonly #data: Buffer | undefined

  constructor(given: Record<string, unknown>) {
    const { field, name, type, size, path, data } = given
    this.field = String(field)
    this.name = String(name)
    this.type = String(type)
    this.size = Number(size)
    this.path = typeof path === 'string' ? path : null
    if (Buffer.isBuffer(data)) this.#data = data
  }

  /** What is in it, read from the disk if it is there; gone when the handler has ended. */
  get bytes(): Buffer {
    return this.path === null ? (this.#data ?? Buffer.alloc(0)) : readFileSync(this.path)
  }
}

/** All files in order; `files.avatar` is the first one of that field. */
export type UploadedFiles = UploadedFile[] & Record<string, UploadedFile>

export function filesOf(given: unknown): UploadedFiles {
  const files = [] as unknown as UploadedFiles
  if (!Array.isArray(given)) return files
  for (const one of given as Record<string, unknown>[]) files.push(new UploadedFile(one))
  for (const file of [...files]) {
    // A field's name that means something to arrays keeps that meaning.
    if (file.field in files || /^\d+$/.test(file.field)) continue
    Object.defineProperty(files, file.field, { value: file })
  }
  return files
}
