// What the browser runs: every scenario with the clients of the last and of the first version.
import * as browser from '@motiadev/stream-client-browser'
import * as react from '@motiadev/stream-client-react'
import * as olderBrowser from 'older-browser'
import * as olderReact from 'older-react'
import { hooks } from './react.jsx'
import { guarded, scenario } from './scenario.mjs'

const base = location.origin

globalThis.scenarios = {
  newest: () => scenario(browser.Stream, base, 'browser newest'),
  oldest: () => scenario(olderBrowser.Stream, base, 'browser oldest'),
  'newest hooks': () => hooks(react, base, 'react newest'),
  'oldest hooks': () => hooks(olderReact, base, 'react oldest'),
  guarded: () => guarded(browser.Stream, base),
}
