import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { choiceAbove, nextLevel } from '../../js/explorer/asking.js'
import { binomialQuantile, tailOfT } from '../../js/explorer/chance.js'
import { levels, mix, paint, places } from '../../js/explorer/colours.js'
import { contour, dashed } from '../../js/explorer/contour.js'
import { crc32, npy, withText } from '../../js/explorer/files.js'
import { Model, readSelection, writeSelection } from '../../js/explorer/model.js'
import { strongest } from '../../js/explorer/places.js'
import { read } from '../../js/explorer/safetensors.js'
import { automaticLimit, formatValue, percentile, withError } from '../../js/explorer/scale.js'
import { Sums, total, varianceOfMean } from '../../js/explorer/sums.js'
import { learn, speak, translated } from '../../js/explorer/texts.js'
import { fill, isolated, totalWords } from '../../js/explorer/words.js'

const served = Object.fromEntries(['en', 'de'].map(language => [language, JSON.parse(readFileSync(new URL(`../../locales/${language}/main.json`, import.meta.url)))]))
learn(served)

const near = (found, expected, tolerance = 1e-9) => assert.ok(Math.abs(found - expected) <= tolerance, `${found} is not ${expected}`)
const layout = { samples: 4, steps: 3, channels: 2, cells: 2, antithetic: false, fresh: true }
// sample r, step s, channel k, cell i has r + 10 s + 100 k + 1000 i
const values = new Float32Array(48)
let at = 0
for (let r = 0; r < 4; r++) for (let s = 0; s < 3; s++) for (let k = 0; k < 2; k++) for (let i = 0; i < 2; i++) values[at++] = r + 10 * s + 100 * k + 1000 * i
const weights = [1, 2, 3]

test('two ranges that meet add up to the range over both', () => {
    const sums = new Sums(values, weights, layout)
    const [first, second, both] = [[0, 1], [1, 3], [0, 3]].map(([start, end]) => [...sums.range(start, end, -1)])
    both.forEach((value, i) => near(value, first[i] + second[i], 1e-3))
})

test('a range counts each step by its weight, for one sample or for the mean of all', () => {
    const sums = new Sums(values, weights, layout)
    // channel 0, cell 0: 2 * (10 + r) + 3 * (20 + r)
    assert.equal(sums.range(1, 3, 2)[0], 2 * 12 + 3 * 22)
    assert.equal(sums.range(1, 3, -1)[0], 2 * 11.5 + 3 * 21.5)
})

test('a map of channels is their norm, or their negative mean', () => {
    const sums = new Sums(new Float32Array([3, 4]), [1], { ...layout, samples: 1, steps: 1, cells: 1 })
    assert.equal(sums.map(0, 1, -1, 'channel norm')[0], 5)
    assert.equal(sums.map(0, 1, -1, 'channel mean')[0], -3.5)
})

test('variances of steps with fresh noise add up by the square of their weights', () => {
    const own = varianceOfMean([0, 1, 2, 3]) // of every channel, step and cell
    const found = new Sums(values, weights, layout).varianceOf(1, 3)
    near(found[0], 2 * (4 + 9) * own, 1e-4)
})

test('with one noise for all steps the spread is that of the sums', () => {
    const found = new Sums(values, weights, { ...layout, fresh: false }).varianceOf(1, 3)
    near(found[0], 2 * varianceOfMean([0, 5, 10, 15]), 1e-3)
})

test('only steps that count are compared, and what is tested goes with their weights', () => {
    const known = { agreeing: new Float32Array([1, 0, 1]), compared: 1, tested: new Float32Array([1, 2, 3, 4, 5, 6]) }
    const sums = new Sums(values, [1, 0, 3], layout, known)
    assert.deepEqual(sums.agreement(0, 3), { agreeing: 2, compared: 2 })
    assert.deepEqual([...sums.testedOf(0, 3)], [1 * 1 + 3 * 5, 1 * 2 + 3 * 6])
    assert.deepEqual(new Sums(values, weights, layout).agreement(0, 3), { agreeing: 0, compared: 0 })
})

test('of a range in which no step was asked it is not said that the prompts give the same', () => {
    const kind = { reading: 'evidence', weighting: 'uniform', scalar: 'channel norm' }
    const header = {
        ...{ steps: 3, height: 1, width: 2, samples: 1, images: 1, layers: 'samples', antithetic: false, fresh: true, rounding: 1e-5 },
        ...{ log_snr: [-1, 0, 1], readings: ['evidence'], weightings: ['uniform'], short: ['a', 'b'], words: [{ ...kind, signed: true, unit: 'nats', summed_unit: 'nats' }] },
        sentences: { no_difference: 'the same', range_not_asked: 'not asked', no_total: 'neither', total: '{value} {unit}', unsure_total: '{total}', take_more: '' },
    }
    const model = new Model({ header, arrays: { weights: { values: new Float32Array([0, 3, 0]) }, curves: { values: new Float32Array([0, 2, 0]) } } })
    const parts = { header: { reading: 'evidence', image: 0, compared: 0 }, arrays: { values: { values: new Float32Array([0, 0, 3, -1, 0, 0]), shape: [1, 3, 1, 1, 2] } } }
    const told = [[0, 1], [1, 2], [2, 3], [0, 3]].map(([start, end]) => {
        const view = { ...kind, start, end, sample: 0, shown_image: 1, reliability: 'all', scale: 0, percentile: 100, sign: 'both' }
        return [model.frame(view, parts).note, totalWords(model, view).says]
    })
    assert.deepEqual(told, [['not asked', ''], ['', '6 nats'], ['not asked', ''], ['', '6 nats']])
})

test('an antithetic pair is one estimate', () => {
    const pairs = { ...layout, antithetic: true }
    near(new Sums(values, weights, pairs).varianceOf(0, 1)[0], 2 * varianceOfMean([0.5, 2.5]), 1e-5)
    assert.equal(new Sums(values.subarray(0, 24), weights, { ...pairs, samples: 2 }).varianceOf(0, 1), null)
})

test('a total has the error of its estimates, and none with a single one', () => {
    const read = sample => [1, 3][sample]
    assert.deepEqual(total(read, { ...layout, samples: 2 }, 0, 1), { value: 2, error: 1 })
    near(total(read, { ...layout, samples: 2 }, 0, 3).error, Math.sqrt(3))
    near(total(read, { ...layout, samples: 2, fresh: false }, 0, 3).error, 3)
    assert.equal(total(read, { ...layout, samples: 1 }, 0, 1).error, null)
})

test('percentiles lie between neighbours as in numpy', () => {
    assert.equal(percentile(new Float32Array([4, 1, 3, 2]), 50), 2.5)
    assert.equal(percentile(new Float32Array([4, 1, 3, 2]), 100), 4)
})

test('a map that is the same everywhere has no scale, and one of mostly zeros ends at its largest value', () => {
    assert.equal(automaticLimit(new Float32Array([5, 5, 5]), 0, 99, 1e-5), 0)
    assert.equal(automaticLimit(new Float32Array([0, 0, 0, -7]), 1e-5, 50, 1e-5), 7)
})

test('numbers are written with three digits and a true minus sign', () => {
    assert.deepEqual([0.012345, -1.5, 1234, 2.1e-7, 0, 1.2e7].map(formatValue), ['0.0123', '−1.5', '1230', '2.1e−07', '0', '1.2e+07'])
    assert.equal(withError(68.94, 2.13), '68.9 ± 2.1')
    assert.equal(withError(68.94, null), '68.9')
    assert.deepEqual([withError(0.0198, 0.038), withError(-1.26, 0.1), withError(113.4, 31), withError(5, 0)], ['0.020 ± 0.038', '−1.26 ± 0.10', '113 ± 31', '5 ± 0'])
})

test('chances are those of known tables', () => {
    near(tailOfT(1.96, 1e7), 0.05, 1e-5) // the normal distribution
    near(tailOfT(2.228, 10), 0.05, 1e-4)
    near(tailOfT(1, 1), 0.5) // Cauchy's
    assert.equal(binomialQuantile(0.5, 10, 0.5), 5)
    assert.equal(binomialQuantile(0.99, 10, 0), 0)
})

test('levels are clipped to the side that is shown', () => {
    const all = sign => [...levels(new Float32Array([-4, 1, 4]), 2, true, sign, new Float32Array(3))]
    assert.deepEqual(all('both'), [-1, 0.5, 1])
    assert.deepEqual(all('positive').map(Math.abs), [0, 0.5, 1])
    assert.deepEqual(all('negative').map(value => value + 0), [-1, 0, 0])
})

test('smooth painting reads between the centres of cells, sharp painting within them', () => {
    const { first, second, share } = places(4, 2, true)
    assert.deepEqual([...share].map((part, i) => first[i] + part * (second[i] - first[i])), [0, 0.25, 0.75, 1])
    assert.deepEqual([...places(4, 2, false).first], [0, 0, 1, 1])
})

test('a level of 0 is clear, and the full level has the last colour at the opacity', () => {
    const table = new Uint8Array(768).map((_, i) => Math.floor(i / 3))
    const look = { table, signed: true, opacity: 0.5, smooth: false, solid: false }
    const pixels = new Uint32Array(2)
    paint(new Float32Array([0, 1]), 1, 2, look, pixels, 2, 1)
    assert.equal(pixels[0] >>> 24, 0)
    assert.deepEqual([pixels[1] >>> 24, pixels[1] & 255], [128, 255])
    assert.equal(mix({ ...look, solid: true })[0] >>> 24, 255)
})

/** A safetensors file with these arrays' bytes after its JSON, as its format is described. */
function file(metadata, arrays = {}, data = []) {
    const text = new TextEncoder().encode(JSON.stringify({ __metadata__: metadata, ...arrays }))
    const length = Math.ceil(text.length / 8) * 8, bytes = new Uint8Array(8 + length + data.length).fill(32)
    new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true)
    bytes.set(text, 8)
    bytes.set(data, 8 + length)
    return bytes.buffer
}

test('a file is read in place', () => {
    const metadata = { format: 'SDExplain explorer', version: '4', header: '{"label":"“斑馬” 🦓"}' }
    const arrays = { b: { dtype: 'U8', shape: [3], data_offsets: [8, 11] }, a: { dtype: 'F32', shape: [1, 2], data_offsets: [0, 8] } }
    const content = file(metadata, arrays, [...new Uint8Array(new Float32Array([1.5, -2]).buffer), 7, 8, 9])
    const { header, arrays: found } = read(content)
    assert.equal(header.label, '“斑馬” 🦓')
    assert.deepEqual([[...found.a.values], found.a.shape, [...found.b.values]], [[1.5, -2], [1, 2], [7, 8, 9]])
    assert.equal(found.a.values.buffer, content)
})

test('foreign, cut and newer files are refused in words', () => {
    const cut = file({ format: 'SDExplain explorer', version: '4', header: '{}' }).slice(0, 40)
    const huge = new Uint8Array(16).fill(255).buffer
    for (const content of [new ArrayBuffer(4), cut, huge, file({ format: 'pt' }), file(undefined)]) assert.throws(() => read(content), /not a file of the Explorer/)
    assert.throws(() => read(file({ format: 'SDExplain explorer', version: '9', header: '{}' })), /version 9/)
})

test('sentences are filled once, whatever is put into them', () => {
    assert.equal(fill('{a} of {b}, {c}', { a: '{b}', b: 2 }), '{b} of 2, {c}')
    assert.equal(isolated('for “זברה”'), 'for \u2068“זברה”\u2069')
})

test('what came with the data is said in the page’s language, and what it has no words for stays', () => {
    const header = {
        short: ['“zebra”', 'an unnamed prompt'],
        sentences: { ...served.en.sdexplain.sentences, steps: 'steps of a newer version' },
        words: [{ reading: 'evidence', scalar: 'channel norm', positive: 'speaks for “zebra”', negative: 'speaks for an unnamed prompt', quantity: 'Evidence', noun: 'new words', unit: 'nats per latent cell', summed_unit: 'nats' }],
        maps: [{ name: 'RdBu_r', ends: ['blue', 'red'] }],
    }
    assert.equal(translated(header), header) // English
    speak('de-CH')
    const { sentences, words: [word], maps: [map], short } = translated(header)
    assert.deepEqual([sentences.cell, sentences.steps], [served.de.sdexplain.sentences.cell, header.sentences.steps])
    assert.deepEqual([word.positive, word.negative, word.noun], ['spricht für “zebra”', 'spricht für Prompt ohne Namen', 'new words'])
    assert.deepEqual([word.unit, short[1]], ['nats je Latent-Zelle', 'Prompt ohne Namen'])
    assert.deepEqual(map.ends, ['blau', 'rot'])
    speak('en')
})

test('the strongest places are apart, strongest first, and clear cells are none', () => {
    const values = new Float32Array(100)
    values[44] = -9
    values[45] = 8 // beside it
    values[11] = 3
    values[88] = -5
    assert.deepEqual(strongest(values, 10, 10), [{ x: 4, y: 4 }, { x: 8, y: 8 }, { x: 1, y: 1 }])
    assert.deepEqual(strongest(values, 10, 10, 1), [{ x: 4, y: 4 }])
    assert.deepEqual(strongest(new Float32Array(4), 2, 2), [])
})

/** Whether every end of a piece is an end of another one. */
const closed = lines => {
    const ends = lines.flatMap(([x, y, toX, toY]) => [[x, y], [toX, toY]].map(String))
    return ends.every(end => ends.filter(other => other === end).length % 2 === 0)
}

test('a contour crosses between cells where the value is reached, and closes', () => {
    const values = new Float32Array([0, 0, 0, 0, 2, 0, 0, 0, 0])
    const lines = contour(values, 3, 3, 1)
    assert.ok(closed(lines) && lines.length === 4)
    for (const [x, y] of lines) near(Math.abs(x - 1.5) + Math.abs(y - 1.5), 0.5) // half-way to each neighbour
    assert.equal(contour(values, 3, 3, -1).length, 0)
    assert.deepEqual(contour(values.map(value => -value), 3, 3, -1), lines)
    assert.ok(closed(contour(new Float32Array([2, 0, 0, 2]), 2, 2, 1))) // a saddle
    assert.ok(contour(new Float32Array([2, 2, 2, 2]), 2, 2, 1).flat().every(place => place >= 0 && place <= 2)) // at the edge
    assert.deepEqual(dashed([[0, 0, 4, 8]]), [[1, 2, 3, 6]])
})

test('selections are kept as text, and nonsense is none', () => {
    assert.deepEqual(readSelection('3,4', 8, 8), { left: 3, top: 4, right: 3, bottom: 4 })
    assert.equal(writeSelection(readSelection('1,2,3,4', 8, 8)), '1,2,3,4')
    for (const text of ['', 'x', '8,1', '3,3,2,4', '1,2,3', '-1,2']) assert.equal(readSelection(text, 8, 8), null)
})

test('a text goes into a PNG before its end with a right checksum, in ASCII', () => {
    assert.equal(crc32(new TextEncoder().encode('123456789')), 0xcbf43926)
    const end = [0, 0, 0, 0, 73, 69, 78, 68, 0xae, 0x42, 0x60, 0x82]
    const png = withText(new Uint8Array([1, 2, ...end]), 'Key', JSON.stringify({ label: '“斑馬” 🦓' }))
    assert.deepEqual([...png.slice(-12)], end)
    const text = new TextDecoder().decode(png.slice(6, -16))
    assert.ok(text.startsWith('tEXtKey\0') && /^[\x00-\x7f]*$/.test(text))
    assert.deepEqual(JSON.parse(text.slice(8)), { label: '“斑馬” 🦓' })
})

test('a numpy file has its header at a multiple of 64 bytes', () => {
    const file = npy(new Float32Array([1, 2]), [1, 2])
    assert.equal((file.length - 8) % 64, 0)
    assert.equal(new DataView(file.buffer).getFloat32(file.length - 4, true), 2)
})

test('more is asked of the node above that has the choice, by way of reroutes and into subgraphs, unless the choice is another node’s', () => {
    const quality = { name: 'quality', value: 'quick' }, input = (type, from, more) => ({ type, from, ...more })
    const node = (inputs, widgets = []) => ({ graph: {}, inputs, widgets, getInputNode: slot => inputs[slot].from, isInputConnected: slot => Boolean(inputs[slot].link) })
    const above = (widgets, inputs = []) => choiceAbove(node([input('NOISE_PREDICTIONS', node([input('*', node(inputs, widgets))]), { name: 'predictions' })]), 'predictions')
    assert.equal(above([{ name: 'model' }, quality]), quality)
    assert.equal(above([quality], [input('COMBO', null, { name: 'quality', link: 7 })]), null)
    assert.equal(above([{ name: 'model' }]), null)
    const links = { 5: { origin_id: 3, origin_slot: 0 } }, nodes = { 3: node([], [quality]) }
    const subgraph = { outputs: [{ linkIds: [] }, { linkIds: [5] }], getLink: id => links[id], getNodeById: id => nodes[id] }
    const explorer = node([input('NOISE_PREDICTIONS', { ...node([]), subgraph }, { name: 'predictions' })])
    const inside = output => choiceAbove({ ...explorer, getInputLink: () => ({ origin_slot: output }) }, 'predictions')
    assert.deepEqual([inside(1), inside(0)], [quality, null])
    assert.deepEqual(['quick', 'settled', 'exact', undefined].map(nextLevel), ['settled', 'exact', undefined, undefined])
})
