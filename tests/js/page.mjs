// Answers the Python tests: reads a file of the explorer and says what the page computes from it.
// node page.mjs OVERVIEW PARTS '{"start": …}' prints JSON.

import { readFileSync } from 'node:fs'
import { lookOf } from '../../js/explorer/colours.js'
import { Model, readSelection } from '../../js/explorer/model.js'
import { read } from '../../js/explorer/safetensors.js'
import { cellWords, keyWords, rangeWords, sourceWords, stepWords, totalWords } from '../../js/explorer/words.js'

const contents = name => read(new Uint8Array(readFileSync(name)).buffer)
const [overview, parts, settings] = process.argv.slice(2)
const model = new Model(contents(overview)), view = JSON.parse(settings), packed = contents(parts)
const frame = model.frame(view, packed), range = model.range(view)
const errors = model.errors(view, model.sums(view, packed), ...range)
const { map } = lookOf(model, { colour_map: 'automatic', ...view }, frame.words.signed)
const box = { left: 0, top: 0, right: model.header.width - 1, bottom: model.header.height - 1 }
const part = readSelection(view.selection ?? '', model.header.width, model.header.height)
const answer = {
    values: [...frame.values], levels: [...frame.levels], limit: frame.limit, note: frame.note, finding: frame.finding, unit: frame.unit,
    words: frame.words, errors: errors && [...errors], total: model.total(view, 'evidence', ...range),
    title: model.title, recognition: model.tell(model.header.familiarity[model.image(view)]), verdict: totalWords(model, view), key: keyWords(model, view, frame, map.ends),
    part: part && { ...model.within(view, packed, part, ...range), says: cellWords(model, view, part, model.within(view, packed, part, ...range)) },
    source: sourceWords(model, frame), range: rangeWords(model, view), box: cellWords(model, view, box, model.within(view, packed, box, ...range)),
    steps: Array.from({ length: model.header.steps }, (_, step) => stepWords(model, view, step, 1)),
}
process.stdout.write(JSON.stringify(answer))
