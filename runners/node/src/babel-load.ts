// Brings in the transformer: a megabyte of text that most runs do not need, since they find every
// file transformed already.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { setTimeout } from 'node:timers'
import vm from 'node:vm'
import type { CompileCache } from './cache'
import type { Compiled, CompilerOptions } from './transform'

/** dist/babel.cjs */
export interface Babel {
  compile(source: string, file: string, options: CompilerOptions): Compiled
}

// Long enough for the start to be over, and for what is used to be compiled.
const STORE_AFTER_MS = 2_000

/** Loads it with V8's compiled code of an earlier run, which halves the 0.2 s that it takes. */
export function loadBabel(cache: CompileCache, id: string): Babel {
  const file = join(__dirname, 'babel.cjs')
  const text = readFileSync(file, 'utf8')
  const stored =
    cache.folder && join(cache.folder, `babel-${id.slice(0, 16)}-${process.version}.bin`)
  const cachedData = stored && readIfThere(stored)
  const script = new vm.Script(`(function (exports, require, module) {${text}\n})`, {
    filename: file,
    ...(cachedData ? { cachedData } : {}),
  })
  const module = { exports: {} }
  const run = script.runInThisContext() as (...args: unknown[]) => void
  run(module.exports, createRequire(file), module)
  if (stored && (!cachedData || script.cachedDataRejected)) {
    setTimeout(() => cache.writeWhole(stored, script.createCachedData()), STORE_AFTER_MS).unref()
  }
  return module.exports as Babel
}

function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path)
  } catch {
    return undefined
  }
}
