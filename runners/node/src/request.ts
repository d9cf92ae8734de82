// The first argument of an API handler.
import { filesOf, type UploadedFiles } from './files'
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
  /** The target as it was sent: path and query. */
  url: string
  /** The client's address. */
  ip: string | undefined
  cookies: Fields
  files: UploadedFiles
  readonly #raw: Buffer | undefined

  /** `input` is the `api` input of `invoke`. Throws invalid_payload. */
  constructor(input: Fields) {
    const { body } = input
    // A request without a body: handlers read fields of it all the same.
    this.body = body === null || body === undefined ? {} : decode(body)
    this.headers = fields(input['headers'])
    this.pathParams = fields(input['params'])
    this.queryParams = fields(input['query'])
    this.method = typeof input['method'] === 'string' ? input['method'] : ''
    this.path = typeof input['path'] === 'string' ? input['path'] : ''
    this.url = typeof input['url'] === 'string' ? input['url'] : this.path
    this.ip = typeof input['ip'] === 'string' ? input['ip'] : undefined
    this.cookies = fields(input['cookies'])
    const { files, raw } = input
    this.files = filesOf(files)
    if (Buffer.isBuffer(raw)) this.#raw = raw
    // A form with files is not kept as it came.
    else if (body !== null && body !== undefined && !Array.isArray(files)) this.#raw = wire(body)[1]
  }

  /** The body's text as it came, for signatures; empty if there is none. */
  get rawBody(): string {
    const raw = #raw in this ? this.#raw : undefined
    return raw === undefined ? '' : raw.toString('utf8')
  }
}

function fields(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {}
}
