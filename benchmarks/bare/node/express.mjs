// A bare Express endpoint: reads a JSON body, answers a small JSON object.
import express from 'express'

const app = express()
app.post('/bench', express.json(), (req, res) => {
  res.json({ id: req.body.id, ok: true })
})
app.listen(Number(process.argv[2]), '127.0.0.1')
