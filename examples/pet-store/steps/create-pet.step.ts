import { z } from 'zod'
import type { ApiRouteConfig, Handlers } from '@motia/core'
import { newPet } from '../services/pet-store'

const petSchema = z.object({
  id: z.string(),
  name: z.string(),
  species: z.enum(['cat', 'dog', 'fish', 'parrot']),
  registeredAt: z.string(),
  recommended: z.array(z.string()),
})

export const config: ApiRouteConfig = {
  type: 'api',
  name: 'CreatePet',
  description: 'Registers a pet, so that food can be ordered for it',
  method: 'POST',
  path: '/pets',
  // A body that does not fit is answered with 400 and all the reasons; the handler never sees it.
  bodySchema: petSchema.pick({ species: true }).extend({ name: z.string().min(1).max(40) }),
  responseSchema: { 201: petSchema },
  emits: ['pet.created'],
  flows: ['pet-store'],
}

export const handler: Handlers['CreatePet'] = async (req, { logger, emit, state }) => {
  const pet = newPet(req.body.name, req.body.species)

  // Save first, then tell: whoever hears of the pet can read it.
  await state.set('pets', pet.id, pet)
  await emit({ topic: 'pet.created', data: { id: pet.id, species: pet.species } })

  logger.info('Pet registered', { petId: pet.id, species: pet.species })
  return { status: 201, body: pet }
}
