// What the official clients see, in Node and in a browser alike. Throws where they see it wrong.

/** Waits until a function gives something true. */
export async function until(condition, what) {
  for (let i = 0; i < 3000; i++) {
    const answer = condition()
    if (answer) return answer
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error(`${what} did not come about`)
}

export function same(actual, expected, what) {
  const [seen, wanted] = [actual, expected].map((value) => JSON.stringify(value))
  if (seen !== wanted) throw new Error(`${what}: ${seen} instead of ${wanted}`)
}

/** A function that makes changes of the stream "board" in a group, and waits for the answer. */
export function changer(base, group) {
  return async (...changes) => {
    const body = changes.map(([what, id, data]) => [what, 'board', group, id, data ?? null])
    const headers = { 'content-type': 'application/json' }
    const answer = await fetch(`${base}/change`, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
    })
    if (!answer.ok) throw new Error(await answer.text())
  }
}

const texts = (items) => items.map(({ id, text }) => `${id}=${text}`).join(' ')

/** Groups, items, events, several subscriptions, and leaving. */
export async function scenario(Stream, base, group) {
  const change = changer(base, group)
  const stream = new Stream(base.replace('http', 'ws'))
  await change(['set', 'b', { text: 'one' }], ['set', 'a', { text: 'two' }])

  const all = stream.subscribeGroup('board', group)
  const twin = stream.subscribeGroup('board', group, 'text')
  const one = stream.subscribeItem('board', group, 'a')
  const later = stream.subscribeItem('board', group, 'c')
  const states = []
  all.addChangeListener((items) => states.push(texts(items)))
  await until(() => all.getState().length === 2 && twin.getState().length === 2, 'the first sync')
  await until(() => one.getState()?.text === 'two', 'the item')
  same(texts(all.getState()), 'b=one a=two', 'a group is in the order of creation')
  same(later.getState(), null, 'an item that is not there')

  await change(['set', 'c', { text: 'three' }], ['set', 'a', { text: '2' }])
  await until(() => one.getState().text === '2' && later.getState()?.text === 'three', 'items')
  await until(() => texts(all.getState()) === 'b=one a=2 c=three', 'create and update')
  await until(() => texts(twin.getState()) === 'a=2 b=one c=three', 'the sorted group')

  // Many changes within a millisecond, the last of which counts.
  const many = Array.from({ length: 50 }, (_, n) => ['set', 'a', { text: `n${n}` }])
  await change(...many)
  await until(() => one.getState().text === 'n49', 'the last of many updates of the item')
  await until(() => all.getState()[1].text === 'n49', 'the last of many updates in the group')

  await change(['delete', 'b'], ['delete', 'c'])
  await until(() => texts(all.getState()) === 'a=n49', 'deletes in the group')
  await until(() => later.getState() === null, 'the delete of an item')

  const heard = []
  all.onEvent('typing', (data) => heard.push(['all', data]))
  one.onEvent('typing', (data) => heard.push(['one', data]))
  const deaf = () => heard.push('nothing of this')
  all.onEvent('typing', deaf)
  all.offEvent('typing', deaf)
  await change(
    ['send', null, { type: 'other', data: 0 }],
    ['send', null, { type: 'typing', data: { who: 'ann' } }],
    ['send', 'a', { type: 'typing', data: [1] }],
    ['set', 'd', { text: 'end' }],
  )
  await until(() => all.getState().length === 2, 'the item after the events')
  heard.sort((x, y) => JSON.stringify(x).localeCompare(JSON.stringify(y)))
  const wanted = [
    ['all', [1]],
    ['all', { who: 'ann' }],
    ['one', [1]],
  ]
  same(heard, wanted, 'events')

  const before = states.length
  all.close()
  await change(['set', 'a', { text: 'closed' }])
  await until(() => one.getState().text === 'closed', 'the item after the group was left')
  same(states.length, before, 'nothing comes after close')
  stream.close()
}

/** A token as sub-protocols, for a stream that admits each user to the group of its name. */
export async function guarded(Stream, base) {
  const address = base.replace('http', 'ws')
  const stream = new Stream(address, { protocols: ['Authorization', 'ann'] })
  const own = stream.subscribeGroup('python', 'ann')
  const other = stream.subscribeGroup('python', 'bob')
  const errors = []
  other.onEvent('error', (error) => errors.push(error))
  await until(() => errors.length > 0, 'the refusal')
  same(errors, [{ code: 'STREAM_ACCESS_DENIED', message: 'Access denied' }], 'the refusal')
  await until(() => own.getState().length === 1, 'the items of a user')
  stream.close()
}
