// The first argument of an API handler.
import { decode, wire } from './values'

type Fields = Record<string, unknown>

/** An HTTP request as its handler sees it. The fields are the object's own and may be changed. */
export class ApiRequest {
  body: unknown
  headers: Fields
  pathParams: Fields
  queryParams: Fields
  method: string
  path: string
  readonly #payload: unknown

  /** `input` is the `api` input of `invoke`. Throws invalid_payload. */
  constructor(input: Fields) {
    const { body } = input
    this.#payload = body
    // A request without a body: handlers read fields of it all the same.
    this.body = body === null || body === undefined ? {} : decode(body)
    this.headers = fields(input['headers'])
    this.pathParams = fields(input['params'])
    this.queryParams = fields(input['query'])
    this.method = typeof input['method'] === 'string' ? input['method'] : ''
    this.path = typeof input['path'] === 'string' ? input['path'] : ''
  }

  /** The body's text as it came, for signatures; empty if there is none. */
  get rawBody(): string {
    const payload = #payload in this ? this.#payload : undefined
    return payload === null || payload === undefined ? '' : wire(payload)[1].toString('utf8')
  }
}

function fields(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {}
}
