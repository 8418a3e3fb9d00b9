// What the page shows for given settings: the same steps as make_heatmap and Significance take in Python, without any drawing.

import { binomialQuantile, tailOfT } from './chance.js'
import { levels } from './colours.js'
import { automaticLimit, formatValue, percentile } from './scale.js'
import { Sums, partOf, total, totalOfSteps } from './sums.js'
import { fill, reliabilityWords } from './words.js'

/** @typedef {import('./safetensors.js').Contents} Contents */
/** @typedef {{ name: string, values: Record<string, any> }} Told a sentence's name, and for its places texts or such sentences */
/**
 * @typedef {object} View the widgets' values
 * @property {number} start
 * @property {number} end -1 for the end of the schedule
 * @property {string} reading
 * @property {string} weighting
 * @property {string} scalar
 * @property {string} sign
 * @property {string} colour_map
 * @property {number} opacity
 * @property {string} background
 * @property {string} interpolation
 * @property {number} percentile
 * @property {number} scale
 * @property {string} view
 * @property {number} sample 0 for the mean
 * @property {number} shown_image from 1 on
 * @property {string} selection
 * @property {string} reliability
 * @property {number} threshold
 * @property {number} contour share of the full colour at which a line is drawn; 0 for none
 * @property {string} paper
 */
/**
 * @typedef {object} Frame
 * @property {Float32Array} values [cells] what is shown, 0 where it is left clear
 * @property {Float32Array} raw [cells] the sums themselves
 * @property {Float32Array | null} errors [cells], where they decide what is shown
 * @property {Float32Array} levels [cells]
 * @property {number} limit
 * @property {Record<string, any>} words
 * @property {string} unit
 * @property {string} note why there is nothing to show
 * @property {string} finding how many cells are reliable
 */

/** Whether swapped prompts flip a reading. @param {string} reading */
function isSigned(reading) {
    return reading === 'difference' || reading === 'evidence'
}

export class Model {
    /** @param {Contents} overview */
    constructor(overview) {
        this.header = overview.header
        this.arrays = overview.arrays
        this.cells = this.header.height * this.header.width
        /** @type {number[]} the steps that the model was asked about: the others count nothing, however steps are weighted */
        this.asked = Array.from({ length: this.header.steps }, (_, step) => step).filter(step => this.arrays.weights.values[step])
        /** @type {{ key: string, sums: Sums }[]} the last two: the map's, and those of what is decoded */
        this.known = []
        this.raw = new Float32Array(this.cells)
        this.shown = new Float32Array(this.cells)
        this.levels = new Float32Array(this.cells)
    }

    /** The range as step numbers, whatever the widgets say. @param {View} view @returns {[number, number]} */
    range({ start, end }) {
        const { steps } = this.header
        const stop = end < 0 ? steps : Math.min(end, steps)
        const from = Math.min(start, steps - 1)
        return [from, Math.max(from + 1, stop)]
    }

    /** Whether the model was asked at any of the steps start … end - 1. @param {number} start @param {number} end */
    asksWithin(start, end) {
        return this.asked.some(step => start <= step && step < end)
    }

    /** @param {View} view */
    words(view) {
        return this.header.words.find(
            (/** @type {any} */ entry) => entry.reading === view.reading && entry.weighting === view.weighting && entry.scalar === view.scalar,
        )
    }

    /**
     * A sentence that came with the data.
     * @param {string} name
     * @param {Record<string, string | number>} values what stands in its places
     */
    say(name, values) {
        return fill(this.header.sentences[name], values)
    }

    /** Both prompts. */
    get title() {
        const named = (/** @type {string} */ label) => (label.trim() ? `“${label.trim()}”` : this.say('unnamed', {}))
        return this.say('versus', { target: named(this.header.target), contrast: named(this.header.contrast) })
    }

    /**
     * A sentence about the run itself, whose values may be sentences.
     * @param {Told} sentence
     * @returns {string}
     */
    tell({ name, values }) {
        const told = Object.entries(values).map(([place, value]) => [place, typeof value === 'string' ? value : this.tell(value)])
        return this.say(name, Object.fromEntries(told))
    }

    /** Which sample is shown, -1 for the mean. @param {View} view */
    sample(view) {
        return this.header.layers === 'samples' && view.sample <= this.header.samples ? view.sample - 1 : -1
    }

    /** @param {View} view */
    image(view) {
        return Math.min(view.shown_image, this.header.images) - 1
    }

    /** The weights of the steps, [S]. @param {View} view */
    weights(view) {
        const { steps, weightings } = this.header
        const from = weightings.indexOf(view.weighting) * steps
        return this.arrays.weights.values.subarray(from, from + steps)
    }

    /** Which part of each weight stands for the ends of the schedule, where no step was asked, [S]. @param {View} view */
    assumed(view) {
        const { steps, weightings } = this.header, from = weightings.indexOf(view.weighting) * steps
        return this.arrays.assumed?.values.subarray(from, from + steps) ?? new Float32Array(steps)
    }

    /** @param {View} view @param {Contents} parts */
    sums(view, parts) {
        const key = [parts.header.reading, parts.header.image, view.weighting].join()
        const known = this.known.find(entry => entry.key === key)
        if (known) return known.sums
        const { values, shape } = parts.arrays.values
        const mean = this.header.layers === 'mean'
        const layout = {
            samples: shape[0],
            steps: shape[1],
            channels: shape[2],
            cells: this.cells,
            width: this.header.width,
            antithetic: this.header.antithetic && !mean,
            fresh: this.header.fresh,
        }
        const arrays = /** @type {Record<string, { values: Float32Array }>} */ (parts.arrays)
        const sums = new Sums(/** @type {Float32Array} */ (values), this.weights(view), layout, {
            variance: arrays.variance?.values ?? null,
            tested: arrays.tested?.values ?? null,
            agreeing: arrays.agreeing?.values ?? null,
            compared: parts.header.compared,
        })
        this.known = [{ key, sums }, ...this.known.slice(0, 1)]
        return sums
    }

    /** How a cell's one number is made. @param {View} view */
    scalar(view) {
        if (view.reading === 'combined') return 'combined'
        return view.reading === 'difference' ? /** @type {import('./sums.js').Scalar} */ (view.scalar) : 'value'
    }

    /**
     * Everything that is drawn. Its arrays are the model's own and hold until the next call.
     * @param {View} view
     * @param {Contents} parts of the view's reading and image
     * @returns {Frame}
     */
    frame(view, parts) {
        const sums = this.sums(view, parts), [start, end] = this.range(view), words = this.words(view), scalar = this.scalar(view)
        const raw = sums.map(start, end, this.sample(view), scalar, this.raw)
        const norm = scalar === 'channel norm'
        let floor = this.header.rounding * (end - start) * (norm ? Math.sqrt(sums.layout.channels) : 1)
        if (!raw.some(value => Math.abs(value) > floor)) raw.fill(0)
        const values = this.shown
        values.set(raw)
        const differs = values.some(value => value !== 0)
        const errors = view.reliability === 'all' ? null : this.errors(view, sums, start, end)
        let finding = '', unit = words.unit, doubt = ''
        if (errors) {
            const tested = sums.testedOf(start, end) ?? raw
            const found = this.#reliable(view, sums, tested, raw, errors, floor, start, end)
            for (let i = 0; i < values.length; i++) {
                const ratio = raw[i] === 0 ? 0 : tested[i] / Math.max(errors[i], floor)
                if (!found.is) values[i] = 0
                else if (view.reliability === 'standard errors') values[i] = ratio
                else if (!(this.#size(view, ratio) > view.threshold)) values[i] = 0
            }
            if (values.some(value => value !== 0)) finding = found.says
            else doubt = differs ? found.says : ''
            if (view.reliability === 'standard errors') {
                unit = this.say('in_errors', {})
                floor = 0
            }
        }
        const limit = view.scale > 0 ? view.scale : automaticLimit(values, floor, view.percentile, this.header.rounding)
        let note = doubt
        if (!differs) note = this.#whyNothing(view, start, end)
        else if (!doubt && limit === 0) note = this.say('same_everywhere', { value: formatValue(values[0]) })
        return this.onScale(view, { values, raw, errors, levels: this.levels, limit, words, unit, note, finding }, limit)
    }

    /** Why a map is 0 everywhere. @param {View} view @param {number} start @param {number} end */
    #whyNothing(view, start, end) {
        if (!this.asksWithin(start, end)) return this.say('range_not_asked', {})
        const weighs = this.weights(view).subarray(start, end).some(weight => weight > 0)
        return this.say(weighs ? 'no_difference' : 'no_weight', {})
    }

    /** A frame with another value of the full colour. @param {View} view @param {Frame} frame @param {number} limit @returns {Frame} */
    onScale(view, frame, limit) {
        levels(frame.values, limit, frame.words.signed, view.sign, frame.levels)
        return { ...frame, limit }
    }

    /**
     * Standard errors of the cells, [cells]; null if they can't be known.
     * @param {View} view @param {Sums} sums @param {number} start @param {number} end
     */
    errors(view, sums, start, end) {
        const variance = this.sample(view) < 0 ? sums.varianceOf(start, end) : null
        if (!variance) return null
        const share = view.scalar === 'channel mean' && view.reading === 'difference' ? 1 / sums.layout.channels : 1
        return variance.map(value => Math.sqrt(value) * share)
    }

    /** How far a ratio is from 0: what has no sign lies below only by chance. @param {View} view @param {number} ratio */
    #size(view, ratio) {
        return isSigned(view.reading) ? Math.abs(ratio) : ratio
    }

    /**
     * Whether independent estimates agree more often than noise does (a sign test), and the words for it: what
     * nodes/maths/method/reliability.py says of a map.
     * @param {View} view @param {Sums} sums @param {Float32Array} tested @param {Float32Array} raw @param {Float32Array} errors
     * @param {number} floor @param {number} start @param {number} end
     */
    #reliable(view, sums, tested, raw, errors, floor, start, end) {
        let count = 0
        for (let i = 0; i < raw.length; i++)
            if (raw[i] !== 0 && this.#size(view, tested[i] / Math.max(errors[i], floor)) > view.threshold) count += 1
        const { agreeing, compared } = sums.agreement(start, end)
        const needed = binomialQuantile(this.header.confidence, compared, 0.5) + 1
        const estimates = this.header.antithetic ? this.header.samples / 2 : this.header.samples
        const signed = isSigned(view.reading), degrees = signed ? Math.max(1, estimates - 1) : 1e7
        const chance = tailOfT(view.threshold, degrees) / (signed ? 1 : 2)
        const is = agreeing >= needed
        return { is, says: reliabilityWords(this, view, { is, agreeing, compared, needed, count, cells: raw.length, chance }) }
    }

    /**
     * What all cells say in all of a range's steps, with its standard error, and how much of it is assumed.
     * @param {View} view @param {string} reading @param {number} start @param {number} end
     */
    total(view, reading, start, end) {
        const { samples, steps, images, antithetic, fresh, readings } = this.header
        const weights = this.weights(view), curves = this.arrays.curves.values, image = this.image(view)
        const base = readings.indexOf(reading) * samples
        const one = this.sample(view)
        const read = (/** @type {number} */ sample, /** @type {number} */ step) =>
            weights[step] * curves[((base + (one < 0 ? sample : one)) * steps + step) * images + image]
        const layout = { samples: one < 0 ? samples : 1, antithetic: antithetic && one < 0, fresh, steps, channels: 1, cells: 1 }
        return { ...totalOfSteps(read, layout, weights, this.header.log_snr, start, end), assumed: partOf(read, layout, this.assumed(view), start, end) }
    }

    /**
     * One cell's value, its error from the samples alone; or the total over a box, with the error that the whole picture has. How
     * much of it is assumed is known of what adds up over steps and cells.
     * @param {View} view @param {Contents} parts @param {Selection} box @param {number} start @param {number} end
     * @returns {{ value: number, error: number | null, assumed: number }}
     */
    within(view, parts, box, start, end) {
        const sums = this.sums(view, parts), { cells, steps } = sums.layout, width = this.header.width
        const one = this.sample(view), weights = sums.weights, cellwise = box.left === box.right && box.top === box.bottom
        const layout = { ...sums.layout, samples: one < 0 ? sums.layout.samples : 1, antithetic: sums.layout.antithetic && one < 0 }
        const whole = (box.right - box.left + 1) * (box.bottom - box.top + 1) === cells
        if (whole && view.reading === 'evidence') return this.total(view, view.reading, start, end)
        let assumed = 0
        if (this.scalar(view) === 'value') {
            const read = (/** @type {number} */ sample, /** @type {number} */ step) => {
                const base = ((one < 0 ? sample : one) * steps + step) * cells
                let sum = 0
                for (let y = box.top; y <= box.bottom; y++)
                    for (let x = box.left; x <= box.right; x++) sum += sums.values[base + y * width + x]
                return weights[step] * sum
            }
            assumed = partOf(read, layout, this.assumed(view), start, end)
            if (!cellwise) return { ...totalOfSteps(read, layout, weights, this.header.log_snr, start, end), assumed }
            const found = total(read, layout, start, end)
            if (found.error !== null || !sums.variance || one >= 0) return { ...found, assumed }
        }
        // sums over the channels first: a norm has no total of its own but that of its cells
        const map = sums.map(start, end, one, this.scalar(view))
        let value = 0
        for (let y = box.top; y <= box.bottom; y++) for (let x = box.left; x <= box.right; x++) value += map[y * width + x]
        const i = box.top * width + box.left
        return { value, error: (cellwise && this.cellError(view, sums, i, start, end)) || null, assumed }
    }

    /**
     * The standard error of one cell's scalar, null if it can't be known.
     * @param {View} view @param {Sums} sums @param {number} cell @param {number} start @param {number} end
     */
    cellError(view, sums, cell, start, end) {
        if (this.sample(view) >= 0 || !sums.hasError || sums.tested) return null
        const share = view.scalar === 'channel mean' && view.reading === 'difference' ? 1 / sums.layout.channels : 1
        const variance = sums.varianceOf(start, end)
        return variance && Math.sqrt(variance[cell]) * share
    }

    /** The name that a run gives to the VAE's picture of what is shown. @param {View} view */
    decodedName(view) {
        return [...this.range(view), view.weighting, this.sample(view) + 1].join('-')
    }

    /** How well the VAE's colours are known without asking it, R²; null if there was no VAE. @param {View} view @returns {number | null} */
    decoderFit(view) {
        return this.header.decoder_fit?.[this.image(view)] ?? null
    }

    /**
     * The colours of the negative sum, [3,cells] from 0 to 1: as the VAE would show them, or without one around grey on a scale of their own.
     * @param {View} view @param {Contents} parts those of the reading "difference"
     */
    decoded(view, parts) {
        const sums = this.sums({ ...view, reading: 'difference' }, parts)
        const latent = sums.range(...this.range(view), this.sample(view)), { channels, cells } = sums.layout
        const byVae = this.decoderFit(view) !== null, rows = channels + (byVae ? 1 : 0)
        const factors = this.arrays.factors.values, base = this.image(view) * rows * 3
        const colours = new Float32Array(3 * cells)
        for (let rgb = 0; rgb < 3; rgb++) {
            if (byVae) colours.fill(factors[base + channels * 3 + rgb], rgb * cells, (rgb + 1) * cells)
            for (let c = 0; c < channels; c++) {
                const factor = factors[base + c * 3 + rgb]
                for (let i = 0; i < cells; i++) colours[rgb * cells + i] -= factor * latent[c * cells + i]
            }
        }
        const limit = byVae ? 1 : 2 * percentile(colours.map(Math.abs), 99.5) || 1, middle = byVae ? 0 : 0.5
        return colours.map(value => Math.min(1, Math.max(0, middle + value / limit)))
    }
}

/** @typedef {{ left: number, top: number, right: number, bottom: number }} Selection both ends included */

/**
 * A pinned cell or box from the widget's text; null if there is none or it lies outside.
 * @param {string} text
 * @param {number} width
 * @param {number} height
 * @returns {Selection | null}
 */
export function readSelection(text, width, height) {
    const numbers = /^\d+(,\d+){1}(,\d+,\d+)?$/.test(text) ? text.split(',').map(Number) : []
    if (numbers.length === 0) return null
    const [left, top, right = left, bottom = top] = numbers
    return left <= right && top <= bottom && right < width && bottom < height ? { left, top, right, bottom } : null
}

/** @param {Selection} box */
export function writeSelection({ left, top, right, bottom }) {
    return left === right && top === bottom ? `${left},${top}` : [left, top, right, bottom].join()
}
