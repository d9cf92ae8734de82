// Which file imports which: what an edit reaches, and what a step should be watched for.

/** Files are absolute paths; one that does not exist is in here if an import looked for it. */
export class ModuleGraph {
  private readonly imports = new Map<string, Set<string>>()
  private readonly importers = new Map<string, Set<string>>()

  add(importer: string, imported: string): void {
    entry(this.imports, importer).add(imported)
    entry(this.importers, imported).add(importer)
  }

  /** The file is read anew: what it imported no longer counts. */
  reset(file: string): void {
    for (const imported of this.imports.get(file) ?? []) this.importers.get(imported)?.delete(file)
    this.imports.delete(file)
  }

  /** The file and everything it imports, directly or not. */
  reachedFrom(file: string): Set<string> {
    return closure([file], this.imports)
  }

  /** The files and everything that imports them, directly or not. */
  reaching(files: Iterable<string>): Set<string> {
    return closure(files, this.importers)
  }
}

function entry(edges: Map<string, Set<string>>, file: string): Set<string> {
  let set = edges.get(file)
  if (set === undefined) edges.set(file, (set = new Set()))
  return set
}

function closure(from: Iterable<string>, edges: Map<string, Set<string>>): Set<string> {
  const seen = new Set(from)
  // A set that grows while it is iterated hands out what was added, too.
  for (const file of seen) for (const next of edges.get(file) ?? []) seen.add(next)
  return seen
}
