export const config = {
  name: 'orders',
  description: 'Every order of the day; the page follows the group "today"',
  schema: {
    number: 'integer',
    dish: 'string',
    customer: 'string',
    status: "'placed' | 'cooking' | 'riding' | 'delivered'",
    placedAt: 'integer',
    changedAt: 'integer',
  },
  baseConfig: { storageType: 'default' },
}
