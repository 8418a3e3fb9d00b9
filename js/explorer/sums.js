// Sums of a reading over any range of steps, by prefix sums: what nodes/maths/method/difference.py's sum_steps does, in O(cells).

/** @typedef {'channel norm' | 'channel mean' | 'combined' | 'value'} Scalar how a cell's one number is made of its channels */
/**
 * @typedef {object} Layout
 * @property {number} samples R that there are values of: all noise samples, or 1 for their mean
 * @property {number} steps S
 * @property {number} channels K
 * @property {number} cells h * w
 * @property {number} [width] w, of which "combined" needs to know
 * @property {boolean} antithetic whether samples 2k and 2k + 1 are a pair
 * @property {boolean} fresh whether every step has noise of its own
 */

/**
 * @typedef {object} Known each for a weight of 1
 * @property {Float32Array | null} [variance] [S,cells] each step's squared standard error, added up over K; null: of the samples
 * @property {Float32Array | null} [tested] [S,cells] what is compared with the error in place of a value without a sign
 * @property {Float32Array | null} [agreeing] [S] in how many comparisons independent estimates of a step's map are alike
 * @property {number} [compared] how many comparisons a step has
 */

// as nodes/maths/method/scalar.py has them: how much the smoothed evidence counts, and what smooths it
const EVIDENCE_SHARE = 0.5, BLUR = 0.6, REACH = 2
const bell = Array.from({ length: 2 * REACH + 1 }, (_, i) => Math.exp(-((i - REACH) ** 2) / (2 * BLUR ** 2)))
const KERNEL = bell.map(value => value / bell.reduce((sum, each) => sum + each))

export class Sums {
    /**
     * @param {Float32Array} values [R,S,K,cells] unweighted
     * @param {ArrayLike<number>} weights [S]
     * @param {Layout} layout
     * @param {Known} known how sure the values are
     */
    constructor(values, weights, layout, { variance = null, tested = null, agreeing = null, compared = 0 } = {}) {
        this.values = values
        this.weights = weights
        this.layout = layout
        this.variance = variance
        this.tested = tested
        this.agreeing = agreeing
        this.compared = compared
        this.plane = layout.channels * layout.cells
        /** @type {Map<number, Float32Array>} */
        this.prefixes = new Map()
        /** @type {Float32Array | null} */
        this.variances = null
    }

    /** How many of the samples' means are independent. */
    get estimates() {
        return this.layout.antithetic ? Math.floor(this.layout.samples / 2) : this.layout.samples
    }

    /** Whether cells have a standard error. */
    get hasError() {
        return this.variance !== null || this.estimates > 1
    }

    /**
     * Prefix sums [S+1,K,cells] of one sample, or of the mean of all for -1.
     * @param {number} sample
     */
    prefix(sample) {
        const known = this.prefixes.get(sample)
        if (known) return known
        const { samples, steps } = this.layout
        const { plane, values, weights } = this
        const sums = new Float32Array((steps + 1) * plane)
        const running = new Float64Array(plane)
        const from = sample < 0 ? 0 : sample, to = sample < 0 ? samples : sample + 1
        for (let step = 0; step < steps; step++) {
            const share = weights[step] / (to - from)
            for (let r = from; r < to; r++) {
                const base = (r * steps + step) * plane
                for (let i = 0; i < plane; i++) running[i] += share * values[base + i]
            }
            sums.set(running, (step + 1) * plane)
        }
        this.prefixes.set(sample, sums)
        return sums
    }

    /**
     * The sum over the steps start … end - 1, [K,cells].
     * @param {number} start
     * @param {number} end
     * @param {number} sample -1 for the mean
     * @param {Float32Array} [out]
     */
    range(start, end, sample, out = new Float32Array(this.plane)) {
        const sums = this.prefix(sample), low = start * this.plane, high = end * this.plane
        for (let i = 0; i < out.length; i++) out[i] = sums[high + i] - sums[low + i]
        return out
    }

    /** One cell's number, as `map` makes it. @param {number} cell @param {number} start @param {number} end @param {number} sample @param {Scalar} scalar */
    at(cell, start, end, sample, scalar) {
        return this.map(start, end, sample, scalar, new Float32Array(1), cell)[0]
    }

    /**
     * One number per cell, [cells]: the value itself, of the difference's channels their norm or their negative mean, or of
     * information and evidence what is combined of them.
     * @param {number} start
     * @param {number} end
     * @param {number} sample
     * @param {Scalar} scalar
     * @param {Float32Array} [out] as many cells as it has room for
     * @param {number} [first] the first of them
     */
    map(start, end, sample, scalar, out = new Float32Array(this.layout.cells), first = 0) {
        if (scalar === 'combined') return this.#combine(this.range(start, end, sample), out, first)
        const { channels, cells } = this.layout
        const sums = this.prefix(sample), low = start * this.plane, high = end * this.plane
        for (let i = 0; i < out.length; i++) {
            let total = 0
            for (let k = first + i; k < this.plane; k += cells) {
                const value = sums[high + k] - sums[low + k]
                total += scalar === 'channel norm' ? value * value : value
            }
            out[i] = scalar === 'channel norm' ? Math.sqrt(total) : scalar === 'channel mean' ? -total / channels : total
        }
        return out
    }

    /**
     * information + ½ |smoothed evidence|, for the cells from `first` on.
     * @param {Float32Array} both [2,cells]
     * @param {Float32Array} out
     * @param {number} first
     */
    #combine(both, out, first) {
        const { cells, width = cells } = this.layout, last = cells / width - 1
        const within = (/** @type {number} */ place, /** @type {number} */ most) => Math.min(Math.max(place, 0), most)
        for (let i = 0; i < out.length; i++) {
            const row = Math.floor((first + i) / width), column = (first + i) % width
            let smooth = 0
            for (let y = 0; y < KERNEL.length; y++) {
                const line = cells + within(row + y - REACH, last) * width
                for (let x = 0; x < KERNEL.length; x++) smooth += KERNEL[y] * KERNEL[x] * both[line + within(column + x - REACH, width - 1)]
            }
            out[i] = both[first + i] + EVIDENCE_SHARE * Math.abs(smooth)
        }
        return out
    }

    /**
     * The squared standard error of the mean for each cell, added up over the channels, [cells]; null if it can't be known.
     * @param {number} start
     * @param {number} end
     */
    varianceOf(start, end) {
        if (!this.hasError) return null
        const { cells, fresh } = this.layout
        const out = new Float32Array(cells)
        if (fresh || this.variance) {
            const sums = this.#variances()
            for (let i = 0; i < cells; i++) out[i] = Math.max(0, sums[end * cells + i] - sums[start * cells + i])
            return out
        }
        const prefixes = Array.from({ length: this.layout.samples }, (_, sample) => this.prefix(sample))
        const low = start * this.plane, high = end * this.plane
        const of = this.#estimates((sample, i) => prefixes[sample][high + i] - prefixes[sample][low + i])
        for (let i = 0; i < this.plane; i++) out[i % cells] += varianceOfMean(of(i))
        return out
    }

    /**
     * What is compared with the error in place of a value without a sign, [cells]; null if that is the value itself.
     * @param {number} start
     * @param {number} end
     */
    testedOf(start, end) {
        if (!this.tested) return null
        const { cells } = this.layout, out = new Float32Array(cells)
        for (let step = start; step < end; step++)
            for (let i = 0; i < cells; i++) out[i] += this.weights[step] * this.tested[step * cells + i]
        return out
    }

    /**
     * In how many comparisons independent estimates of a step's map are alike, and how many there are, of steps that count.
     * @param {number} start
     * @param {number} end
     */
    agreement(start, end) {
        let agreeing = 0, compared = 0
        for (let step = start; this.agreeing && step < end; step++)
            if (this.weights[step] > 0) {
                agreeing += this.agreeing[step]
                compared += this.compared
            }
        return { agreeing, compared }
    }

    /** Prefix sums of the steps' variances, [S+1,cells]. */
    #variances() {
        if (this.variances) return this.variances
        const { steps, cells, channels } = this.layout
        const { plane, values, weights, variance } = this
        const sums = new Float32Array((steps + 1) * cells), running = new Float64Array(cells)
        for (let step = 0; step < steps; step++) {
            const square = weights[step] ** 2
            if (variance) {
                for (let i = 0; i < cells; i++) running[i] += square * variance[step * cells + i]
            } else {
                const of = this.#estimates((sample, i) => values[(sample * steps + step) * plane + i])
                for (let i = 0; i < channels * cells; i++) running[i % cells] += square * varianceOfMean(of(i))
            }
            sums.set(running, (step + 1) * cells)
        }
        return (this.variances = sums)
    }

    /**
     * The independent estimates of a number that every sample has: each sample's, or each pair's mean.
     * @param {(sample: number, i: number) => number} read
     * @returns {(i: number) => Float64Array}
     */
    #estimates(read) {
        const values = new Float64Array(this.estimates)
        const pairs = this.layout.antithetic
        return i => {
            for (let e = 0; e < values.length; e++) values[e] = pairs ? (read(2 * e, i) + read(2 * e + 1, i)) / 2 : read(e, i)
            return values
        }
    }
}

/**
 * Squared standard error of the mean of values, by the unbiased variance.
 * @param {ArrayLike<number>} values
 */
export function varianceOfMean(values) {
    const count = values.length
    let mean = 0, squares = 0
    for (let i = 0; i < count; i++) mean += values[i] / count
    for (let i = 0; i < count; i++) squares += (values[i] - mean) ** 2
    return squares / (count - 1) / count
}

/**
 * The standard error of the sum of steps' totals from how far each lies off the line between its neighbours: `scatter` of
 * nodes/maths/method/uncertainty.py. Null for less than 3 steps that count.
 * @param {number[]} totals with their weights in them
 * @param {number[]} weights
 * @param {(number | null)[]} logSnr null for pure noise
 */
function errorOfScatter(totals, weights, logSnr) {
    const counting = [...totals.keys()].filter(i => weights[i] > 0)
    if (counting.length < 3) return null
    const places = counting.map(i => logSnr[i] ?? -Infinity), density = counting.map(i => totals[i] / weights[i])
    const inner = density.slice(1, -1).map((value, i) => {
        const length = places[i + 2] - places[i], c = length > 0 ? (places[i + 2] - places[i + 1]) / length : 0.5
        return (value - c * density[i] - (1 - c) * density[i + 2]) ** 2 / (1 + c ** 2 + (1 - c) ** 2)
    })
    const variances = [inner[0], ...inner, inner[inner.length - 1]]
    return Math.sqrt(variances.reduce((sum, variance, i) => sum + variance * weights[counting[i]] ** 2, 0))
}

/**
 * Mean and standard error of a sum over steps of one number per sample and step; the error is null if it can't be known.
 * @param {(sample: number, step: number) => number} read weighted
 * @param {Layout} layout
 * @param {number} start
 * @param {number} end
 * @returns {{ value: number, error: number | null }}
 */
export function total(read, { samples, antithetic, fresh }, start, end) {
    let value = 0
    for (let r = 0; r < samples; r++) for (let s = start; s < end; s++) value += read(r, s) / samples
    const estimates = antithetic ? Math.floor(samples / 2) : samples
    if (estimates < 2) return { value, error: null }
    const estimate = (/** @type {number} */ e, /** @type {number} */ s) => (antithetic ? (read(2 * e, s) + read(2 * e + 1, s)) / 2 : read(e, s))
    const each = (/** @type {number} */ from, /** @type {number} */ to) =>
        Array.from({ length: estimates }, (_, e) => {
            let sum = 0
            for (let s = from; s < to; s++) sum += estimate(e, s)
            return sum
        })
    let variance = 0
    if (fresh) for (let s = start; s < end; s++) variance += varianceOfMean(each(s, s + 1))
    else variance = varianceOfMean(each(start, end))
    return { value, error: Math.sqrt(variance) }
}

/**
 * The mean over the samples of a sum over a part of each step.
 * @param {(sample: number, step: number) => number} read weighted
 * @param {{ samples: number }} layout
 * @param {ArrayLike<number>} parts [S] from 0 to 1
 * @param {number} start
 * @param {number} end
 */
export function partOf(read, { samples }, parts, start, end) {
    let mean = 0
    for (let s = start; s < end; s++) if (parts[s]) for (let r = 0; r < samples; r++) mean += (parts[s] * read(r, s)) / samples
    return mean
}

/**
 * The same with the error of `error_of_total` in nodes/maths/method/uncertainty.py: from the samples, or where they are a single
 * estimate, from how the steps scatter, unless these share one noise.
 * @param {(sample: number, step: number) => number} read weighted
 * @param {Layout} layout
 * @param {ArrayLike<number>} weights [S]
 * @param {(number | null)[]} logSnr [S], null for pure noise
 * @param {number} start
 * @param {number} end
 */
export function totalOfSteps(read, layout, weights, logSnr, start, end) {
    const found = total(read, layout, start, end)
    if (found.error !== null || !layout.fresh) return found
    const totals = Array.from({ length: end - start }, (_, i) => total(read, layout, start + i, start + i + 1).value)
    return { ...found, error: errorOfScatter(totals, Array.from(weights).slice(start, end), logSnr.slice(start, end)) }
}
