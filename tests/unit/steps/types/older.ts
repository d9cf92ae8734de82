// The form of types.d.ts that older projects have: a module that adds to 'motia'.
import type { ApiRouteHandler, ApiResponse } from 'motia'

declare module 'motia' {
  interface Handlers {
    Older: ApiRouteHandler<Record<string, unknown>, ApiResponse<200, { ok: boolean }>, never>
  }
}
