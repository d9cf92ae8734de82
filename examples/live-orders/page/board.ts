// The board: follows the group "today" of the stream "orders" and draws what it holds.
import { Stream } from '@motiadev/stream-client-browser'

interface Order {
  id: string
  number: number
  dish: string
  customer: string
  status: string
  placedAt: number
  changedAt: number
}

const DISHES = ['Ramen', 'Pizza', 'Tacos', 'Salad', 'Curry', 'Sushi']
const CUSTOMERS = ['Ann', 'Ben', 'Chloé', 'Dmitri', 'Elif', 'Femi', 'Gwen', 'Hiro', 'Inés', 'Jon']

const lanes = new Map(
  [...document.querySelectorAll<HTMLElement>('section')].map((lane) => [lane.dataset['status'], lane]),
)
const cards = new Map<string, HTMLLIElement>()
const status = document.querySelector('footer')!

const stream = new Stream(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}`)
const today = stream.subscribeGroup<Order>('orders', 'today')
today.addChangeListener((orders) => draw(orders ?? []))
today.onEvent('delivered', ({ dish, customer, number, seconds }) => {
  status.textContent = `#${number}: ${dish} for ${customer}, delivered in ${seconds.toFixed(1)} s.`
})

button('one', () => place())
button('many', () => Promise.all(Array.from({ length: 12 }, place)))
button('clear', () => fetch('/orders/delivered', { method: 'DELETE' }))

async function place(): Promise<void> {
  const headers = { 'content-type': 'application/json' }
  const body = JSON.stringify({ dish: pick(DISHES), customer: pick(CUSTOMERS) })
  const answer = await fetch('/orders', { method: 'POST', headers, body })
  if (!answer.ok) throw new Error(`the order was answered with ${answer.status}`)
}

function draw(orders: Order[]): void {
  const before = new Map([...cards].map(([id, card]) => [id, card.getBoundingClientRect()]))
  const there = new Set(orders.map(({ id }) => id))
  for (const [id, card] of cards) {
    if (there.has(id)) continue
    card.remove()
    cards.delete(id)
  }
  for (const [name, lane] of lanes) {
    const mine = orders.filter((order) => order.status === name)
    // What is waiting comes in its order, what is done with the newest on top.
    mine.sort((a, b) => (name === 'delivered' ? b.changedAt - a.changedAt : a.number - b.number))
    lane.querySelector('output')!.textContent = String(mine.length)
    lane.querySelector('ul')!.replaceChildren(...mine.map(cardOf))
  }
  if (matchMedia('(prefers-reduced-motion: reduce)').matches) return
  for (const [id, card] of cards) move(card, before.get(id))
}

function cardOf(order: Order): HTMLLIElement {
  const card = cards.get(order.id) ?? document.createElement('li')
  cards.set(order.id, card)
  const from = order.status === 'delivered' ? order.placedAt : order.changedAt
  const age = part('age', '')
  age.dataset['since'] = String(from)
  const until = order.status === 'delivered' ? order.changedAt : Date.now()
  age.textContent = seconds(until - from)
  const dish = part('dish', order.dish.slice(0, 1))
  dish.style.setProperty('--hue', String(DISHES.indexOf(order.dish) * 60 + 20))
  card.replaceChildren(
    dish,
    part('name', order.dish),
    part('number', `#${order.number}`),
    part('who', order.customer),
    age,
  )
  return card
}

/** Lets a card travel from where it was. */
function move(card: HTMLElement, from: DOMRect | undefined): void {
  const to = card.getBoundingClientRect()
  if (from === undefined) {
    card.animate([{ opacity: 0, transform: 'scale(0.9)' }, {}], { duration: 200 })
    return
  }
  const back = { transform: `translate(${from.x - to.x}px, ${from.y - to.y}px)` }
  const how = { duration: 350, easing: 'ease-in-out' }
  if (from.x !== to.x) {
    // Out of one list into another: over both, since a list cuts off what leaves it.
    const ghost = document.body.appendChild(card.cloneNode(true) as HTMLElement)
    Object.assign(ghost.style, { left: `${to.x}px`, top: `${to.y}px`, width: `${to.width}px` })
    ghost.className = 'ghost'
    card.style.visibility = 'hidden'
    ghost.animate([back, {}], how).onfinish = () => {
      ghost.remove()
      card.style.visibility = ''
    }
  } else if (from.y !== to.y) {
    card.animate([back, {}], how)
  }
}

function part(name: string, text: string): HTMLElement {
  const it = document.createElement('span')
  it.className = name
  it.textContent = text
  return it
}

function button(id: string, act: () => Promise<unknown>): void {
  document.getElementById(id)!.addEventListener('click', () => {
    act().catch((error: Error) => (status.textContent = `That did not work: ${error.message}`))
  })
}

function pick<T>(list: T[]): T {
  return list[Math.floor(Math.random() * list.length)]!
}

function seconds(ms: number): string {
  return `${Math.max(0, ms / 1000).toFixed(0)} s`
}

setInterval(() => {
  for (const age of document.querySelectorAll<HTMLElement>('section:not([data-status=delivered]) .age')) {
    age.textContent = seconds(Date.now() - Number(age.dataset['since']))
  }
}, 250)
