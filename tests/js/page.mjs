// Answers the Python tests: reads a file of the explorer and says what the page computes from it.
// node page.mjs OVERVIEW PARTS '{"start": …}' prints JSON.

import { readFileSync } from 'node:fs'
import { decode } from '../../js/explorer/decode.js'
import { Model } from '../../js/explorer/model.js'

const buffer = name => new Uint8Array(readFileSync(name)).buffer
const [overview, parts, settings] = process.argv.slice(2)
const model = new Model(decode(buffer(overview))), view = JSON.parse(settings), packed = decode(buffer(parts))
const frame = model.frame(view, packed), range = model.range(view)
const errors = model.errors(view, model.sums(view, packed), ...range)
const answer = {
    values: [...frame.values], levels: [...frame.levels], limit: frame.limit, note: frame.note, finding: frame.finding, unit: frame.unit,
    words: frame.words, errors: errors && [...errors], total: model.total(view, 'evidence', ...range),
}
process.stdout.write(JSON.stringify(answer))
