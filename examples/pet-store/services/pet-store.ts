// What the shop knows about pets and orders. Steps stay short because this is here.

export type Species = 'cat' | 'dog' | 'fish' | 'parrot'

export type OrderStatus = 'placed' | 'priced' | 'waiting' | 'fulfilled' | 'rejected'

export interface Pet {
  id: string
  name: string
  species: Species
  registeredAt: string
  /** Product ids, filled in by RecommendFood a moment after the pet was created. */
  recommended: string[]
}

export interface Order {
  id: string
  petId: string
  petName: string
  product: string
  quantity: number
  email: string
  status: OrderStatus
  placedAt: string
  /** ISO 8601; AuditOverdueOrders speaks up when it has passed. */
  shipBy: string
  complete: boolean
  /** What NotifyCustomer wrote, by the status the order had then. */
  letters: Record<string, { subject: string; text: string; sentAt: string }>
}

export interface OrderRequest {
  petId: string
  product: string
  quantity: number
  email: string
  shipBy?: string
}

const SHIP_WITHIN_MS = 15 * 60 * 1000

/** A pet as it enters the store, without recommendations yet. */
export function newPet(name: string, species: Species): Pet {
  return {
    id: crypto.randomUUID(),
    name,
    species,
    registeredAt: new Date().toISOString(),
    recommended: [],
  }
}

/** An order as it enters the flow: placed, not yet priced, to be shipped within a quarter of an hour. */
export function newOrder(request: OrderRequest, petName: string): Order {
  const now = Date.now()
  return {
    id: crypto.randomUUID(),
    petId: request.petId,
    petName,
    product: request.product,
    quantity: request.quantity,
    email: request.email,
    status: 'placed',
    placedAt: new Date(now).toISOString(),
    shipBy: request.shipBy ?? new Date(now + SHIP_WITHIN_MS).toISOString(),
    complete: false,
    letters: {},
  }
}
