// What the browser runs: every scenario with the clients of the last and of the first version.
import * as browser from '@motiadev/stream-client-browser'
import * as react from '@motiadev/stream-client-react'
import * as olderBrowser from 'older-browser'
import * as olderReact from 'older-react'
import { hooks } from './react.jsx'
import { changer, guarded, same, scenario, until } from './scenario.mjs'

const base = location.origin

async function eventSource() {
  const change = changer(base, 'event source')
  await change(['set', 'a', { text: 'one' }])
  const source = new EventSource('/_stepweave/streams/board/event%20source')
  const got = []
  source.onmessage = ({ data, lastEventId }) => got.push([lastEventId, JSON.parse(data).event.type])
  await until(() => got.length === 1, 'the sync')
  await change(['set', 'a', { text: 'two' }], ['send', null, { type: 'ping' }], ['delete', 'a'])
  await until(() => got.length === 4, 'the changes')
  source.close()
  const wanted = [
    ['1', 'sync'],
    ['2', 'update'],
    ['2', 'event'],
    ['3', 'delete'],
  ]
  same(got, wanted, 'what an EventSource gets')
}

globalThis.scenarios = {
  'event source': eventSource,
  newest: () => scenario(browser.Stream, base, 'browser newest'),
  oldest: () => scenario(olderBrowser.Stream, base, 'browser oldest'),
  'newest hooks': () => hooks(react, base, 'react newest'),
  'oldest hooks': () => hooks(olderReact, base, 'react oldest'),
  guarded: () => guarded(browser.Stream, base),
}
