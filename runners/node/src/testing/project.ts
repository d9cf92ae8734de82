// A folder of files and a loader over it, without a process of its own.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { CompileCache } from '../cache'
import { Loader } from '../loader'
import { NativeModules } from '../native'
import { Resolver } from '../resolve'
import { Transformer } from '../transform'
import { readTsConfig } from '../tsconfig'

export type Files = Record<string, string>

export class Project {
  readonly folder = mkdtempSync(join(tmpdir(), 'stepweave-project-'))
  readonly loader: Loader

  constructor(files: Files) {
    this.write(files)
    const config = readTsConfig(this.folder)
    this.loader = new Loader({
      resolver: new Resolver(config),
      transformer: new Transformer(config.options, new CompileCache(this.path('.cache'))),
      native: new NativeModules(),
      virtual: { defineConfig: (value: unknown) => value },
    })
  }

  path(name: string): string {
    return join(this.folder, name)
  }

  write(files: Files): void {
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(dirname(this.path(name)), { recursive: true })
      writeFileSync(this.path(name), content)
    }
  }

  /** The exports of a file. */
  async load(name: string): Promise<Record<string, unknown>> {
    return (await this.loader.load(this.path(name))).exports as Record<string, unknown>
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}
