// What is said about what is shown: the sentences that come with the data, with the numbers that a drag changes in their places.

import { formatValue, withError } from './scale.js'

/** @typedef {import('./model.js').View} View */
/** @typedef {import('./model.js').Model} Model */
/** @typedef {import('./model.js').Frame} Frame */
/** @typedef {import('./model.js').Selection} Selection */

/**
 * A sentence with its numbers and names in the places of {name}.
 * @param {string} sentence
 * @param {Record<string, string | number>} values
 */
export function fill(sentence, values) {
    return sentence.replaceAll(/\{(\w+)\}/g, (place, name) => String(values[name] ?? place))
}

/** Each quoted label reads in its own direction, and leaves that of the words around it alone. @param {string} text */
export function isolated(text) {
    return text.replaceAll(/“[^”]*”/g, label => `\u2068${label}\u2069`)
}

/**
 * A value in words, followed by how much of it is assumed if that is worth telling: `with_assumed` of nodes/maths/wording.py.
 * @param {Model} model @param {string} told @param {number} assumed @param {number} value
 */
export function withAssumed(model, told, assumed, value) {
    if (!assumed || Math.abs(assumed) < model.header.worth_telling * Math.abs(value)) return told
    return model.say('assumed', { told, assumed: formatValue(assumed) })
}

/**
 * What the whole picture says, and why its standard error is not known or a part of it is assumed.
 * @param {Model} model @param {View} view
 * @returns {{ value: number, says: string, why: string[] }}
 */
export function totalWords(model, view) {
    const range = model.range(view), { value, error, assumed } = model.total(view, 'evidence', ...range)
    if (value === 0) return { value, says: model.asksWithin(...range) ? model.say('no_total', {}) : '', why: [] }
    const unit = model.words({ ...view, reading: 'evidence' }).summed_unit, label = model.header.short[value > 0 ? 0 : 1]
    const told = model.say('total', { value: withError(Math.abs(value), error), unit, label })
    const total = withAssumed(model, told, Math.sign(value) * assumed, value), why = total === told ? [] : [model.say('why_assumed', {})]
    if (error !== null) return { value, says: total, why }
    return { value, says: model.say('unsure_total', { total }), why: [model.say('take_more', {}), ...why] }
}

/**
 * How many cells are beyond the threshold, or that the map is no more than noise.
 * @param {Model} model @param {View} view
 * @param {{ is: boolean, agreeing: number, compared: number, needed: number, count: number, cells: number, chance: number }} found
 */
export function reliabilityWords(model, view, { is, agreeing, compared, needed, count, cells, chance }) {
    const { noun } = model.words(view), expected = Math.min(cells, Math.ceil(cells * chance))
    if (!is) return model.say(needed > compared ? 'too_few' : 'not_reliable', { noun, agreeing, compared, needed })
    return model.say('reliable', { threshold: formatValue(view.threshold), count, cells, expected })
}

/**
 * What the ends of the colour scale mean, and the numbers below it: low, middle, high.
 * @param {Model} model @param {View} view @param {Frame} frame @param {string[]} colours those of its ends
 */
export function keyWords(model, view, { words, limit, values }, [lowColour, highColour]) {
    const low = words.signed && view.sign !== 'positive' ? -1 : 0, high = view.sign === 'negative' ? 0 : 1
    const end = (/** @type {string} */ colour, /** @type {string} */ meaning) => model.say('end', { colour, meaning })
    const lowest = formatValue(low * limit), highest = formatValue(high * limit)
    return {
        low,
        high,
        ends: [
            low < 0 || !words.signed ? end(lowColour, words.negative) : model.say('clear', {}),
            high > 0 ? end(highColour, words.positive) : model.say('clear', {}),
        ],
        numbers: [
            low < 0 && values.some(value => value < -limit) ? model.say('at_most', { value: lowest }) : lowest,
            low < 0 && high > 0 ? '0' : '',
            high > 0 && values.some(value => value > limit) ? model.say('at_least', { value: highest }) : highest,
        ],
    }
}

/** What the numbers are. @param {Model} model @param {Frame} frame */
export function sourceWords(model, { finding, words: { quantity }, unit }) {
    return [finding, model.say('quantity', { quantity, unit })].filter(Boolean).join('. ')
}

/** Which steps, and the noise levels of the first and of the last. @param {Model} model @param {View} view */
export function rangeWords(model, view) {
    const [start, end] = model.range(view), { steps, sigmas, log_snr: logSnr } = model.header
    const level = (/** @type {number} */ step) =>
        model.say(logSnr[step] === null ? 'level_alone' : 'level', { sigma: formatValue(sigmas[step]), log_snr: formatValue(logSnr[step] ?? 0) })
    const asked = model.asked.length
    return [model.say(asked < steps ? 'steps_asked' : 'steps', { start, end, steps, asked }), model.say('levels', { first: level(start), last: level(end - 1) })]
}

/** What a step says. @param {Model} model @param {View} view @param {number} step @param {number} value */
export function stepWords(model, view, step, value) {
    if (!model.asked.includes(step)) return model.say('step_not_asked', { step, steps: model.header.steps })
    const told = model.say('step', { step, steps: model.header.steps, value: formatValue(value), unit: model.words(view).summed_unit })
    return withAssumed(model, told, model.assumed(view)[step] * value, value)
}

/**
 * What a cell says, or all of a box, and why the standard error of a box is not known.
 * @param {Model} model @param {View} view @param {Selection} box @param {{ value: number, error: number | null, assumed: number }} sum
 */
export function cellWords(model, view, { left, top, right, bottom }, sum) {
    const value = withError(sum.value, sum.error), { unit, summed_unit: summed } = model.words(view)
    const told = (/** @type {string} */ words) => withAssumed(model, words, sum.assumed, sum.value)
    if (left === right && top === bottom) return told(model.say('cell', { column: left, row: top, value, unit }))
    const total = told(model.say('box', { count: (right - left + 1) * (bottom - top + 1), value, unit: summed }))
    if (sum.error !== null || model.scalar(view) !== 'value') return total // the norms of a box have no error at all
    return `${model.say('unsure_total', { total })}. ${model.say('take_more', {})}.`
}

/**
 * Whose colours the decoded view shows, on the picture and below it.
 * @param {Model} model @param {View} view @param {boolean} exact whether the VAE decoded just this
 */
export function decoderWords(model, view, exact) {
    const fit = model.decoderFit(view), values = { fit: (fit ?? 0).toFixed(2) }
    return {
        badge: model.say(exact ? 'decoded_badge' : fit === null ? 'guessed_badge' : 'estimated_badge', values),
        source: model.say(exact ? 'decoded' : fit === null ? 'guessed' : 'estimated', values),
    }
}

/** What the contour line marks. @param {Model} model @param {View} view @param {Frame} frame */
export function contourWords(model, view, { limit, unit, words }) {
    const value = formatValue(view.contour * limit)
    return model.say('contour', { value: words.signed ? `±${value}` : value, unit })
}

/** Which of a batch's images is shown. @param {Model} model @param {View} view */
export function imageWords(model, view) {
    return model.say('image', { image: model.image(view) + 1, images: model.header.images })
}

/** Which of the noise samples is shown. @param {Model} model @param {View} view */
export function sampleWords(model, view) {
    return model.say(model.sample(view) < 0 ? 'mean' : 'sample', { sample: model.sample(view) + 1, samples: model.header.samples })
}
