// Packages that a config of Motia imports although nothing comes of them here.

const CONFIG = /(?:^|[/\\])motia\.config\.[cm]?[jt]s$/
const PACKAGE = /^@motiadev\/(?:plugin|adapter)-[\w.-]+(?:\/|$)/

/** Whether a module that is not installed may be missing: a plugin or an adapter, in that config. */
export function isDispensable(specifier: string, importer: string): boolean {
  return PACKAGE.test(specifier) && CONFIG.test(importer)
}

/** Stands in for such a module and all that it exports: to be called, constructed and read at will. */
export const INERT: Record<string, unknown> = new Proxy(function () {}, {
  get: (_target, name) =>
    name === '__esModule' ? true : typeof name === 'symbol' || name === 'then' ? undefined : INERT,
  apply: () => INERT,
  construct: () => INERT,
}) as unknown as Record<string, unknown>
