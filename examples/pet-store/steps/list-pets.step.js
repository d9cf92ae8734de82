// Plain JavaScript, CommonJS, no build step and no package needed.
exports.config = {
  type: 'api',
  name: 'ListPets',
  description: 'Lists the pets, all of them or one species',
  method: 'GET',
  path: '/pets',
  queryParams: [{ name: 'species', description: 'cat, dog, fish or parrot' }],
  emits: [],
  flows: ['pet-store'],
}

exports.handler = async (req, { state }) => {
  const pets = await state.getGroup('pets')
  const { species } = req.queryParams
  return { status: 200, body: species ? pets.filter((pet) => pet.species === species) : pets }
}
