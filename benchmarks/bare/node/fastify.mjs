// A bare fastify endpoint: reads a JSON body, answers a small JSON object.
import fastify from 'fastify'

const app = fastify()
app.post('/bench', async (req) => ({ id: req.body.id, ok: true }))
await app.listen({ port: Number(process.argv[2]), host: '127.0.0.1' })
