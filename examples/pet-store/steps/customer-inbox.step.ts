import type { NoopConfig } from '@motia/core'

// A noop step never runs. It stands for something outside the system, so that the picture is whole.
export const config: NoopConfig = {
  type: 'noop',
  name: 'CustomerInbox',
  description: 'Where the letters arrive, outside the system',
  virtualSubscribes: ['notification.sent'],
  virtualEmits: [],
  flows: ['pet-store'],
}
