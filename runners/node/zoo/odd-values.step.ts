// Emits everything that has no JSON of its own.
export const config = () => ({ type: 'event', name: 'OddValues', subscribes: ['zoo'] })

export const handler = async (
  _: unknown,
  { emit }: { emit: (event: object) => Promise<unknown> },
) => {
  const frozen = Object.freeze({ deep: Object.freeze([Object.freeze({ n: 1 })]) })
  const hostile = new Proxy(
    { real: 1 },
    { ownKeys: () => ['real'], get: (target, key) => Reflect.get(target, key) },
  )
  const sparse: number[] = []
  sparse[2] = 3
  await emit({
    topic: 'odd',
    data: {
      frozen,
      hostile,
      sparse,
      date: new Date(0),
      map: new Map([[{ a: 1 }, 2]]),
      weak: new WeakMap(),
      regexp: /x/g,
      error: new AggregateError([new Error('inner')], 'outer'),
      symbol: Symbol('s'),
      getter: Object.defineProperty({}, 'hidden', { get: () => 'not seen' }),
      url: new URL('http://example.test/?a=1'),
      boxed: [new Number(1), new Boolean(false), new String('s')],
      big: 2n ** 70n,
      nan: [Number.NaN, -0],
      args: (function () {
        return arguments
      })(),
      generator: (function* () {})(),
      promise: Promise.resolve(1),
      intl: new Intl.NumberFormat('en'),
    },
  })
}
