// A page with the official hooks; what they hold is the text of the page.
import { useState } from 'react'
import { createRoot } from 'react-dom/client'
import { changer, until } from './scenario.mjs'

export async function hooks(client, base, group) {
  const { MotiaStreamProvider, useStreamEventHandler, useStreamGroup, useStreamItem } = client

  function Board() {
    const { data, event } = useStreamGroup({ streamName: 'board', groupId: group })
    const item = useStreamItem({ streamName: 'board', groupId: group, id: 'a' })
    const [heard, hear] = useState('nothing')
    useStreamEventHandler({ event, type: 'typing', listener: ({ who }) => hear(who) }, [])
    const rows = data.map(({ id, text }) => `${id}=${text}`).join(' ')
    return <p>{`${rows} | ${item.data?.text ?? 'none'} | ${heard}`}</p>
  }

  const place = document.body.appendChild(document.createElement('main'))
  const root = createRoot(place)
  root.render(
    <MotiaStreamProvider address={base.replace('http', 'ws')}>
      <Board />
    </MotiaStreamProvider>,
  )
  const shows = (text) => until(() => place.textContent === text, `"${text}" on the page`)
  const change = changer(base, group)
  await shows(' | none | nothing')
  await change(['set', 'a', { text: 'one' }], ['set', 'b', { text: 'two' }])
  await shows('a=one b=two | one | nothing')
  await change(['set', 'a', { text: '1' }], ['delete', 'b'])
  await shows('a=1 | 1 | nothing')
  await change(['send', null, { type: 'typing', data: { who: 'ann' } }])
  await shows('a=1 | 1 | ann')
  root.unmount()
  place.remove()
}
