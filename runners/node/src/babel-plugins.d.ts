// Babel 7's plugins come without types.
declare module '@babel/plugin-*' {
  import type { PluginTarget } from '@babel/core'
  const plugin: PluginTarget
  export default plugin
}
