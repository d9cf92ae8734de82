// What is generated into a project, written by hand.
declare module '@motia/core' {
  interface FlowContextStateStreams {
    'todo-list': MotiaStream<{ title: string }>
  }

  interface Handlers {
    CreateOrder: ApiRouteHandler<
      { productId: string; quantity: number },
      unknown,
      { topic: 'order.created'; data: { id?: string } }
    >
    Typed: ApiRouteHandler<
      Record<string, unknown>,
      ApiResponse<201, { id: string }> | ApiResponse<404, { error: string }>,
      never
    >
    Pay: EventHandler<
      { id?: string; amount?: number },
      | { topic: 'payment.processed'; data: { orderId: string } }
      | { topic: 'shipment'; data: { weight: number }; messageGroupId: string }
    >
    Audit: CronHandler<{ topic: 'audited'; data: never }>
  }
}
