// The scale on which a map is read, as nodes/maths/method/heatmap.py has it, and numbers as its legends write them.

/**
 * The p-th percentile with linear interpolation, numpy's default; sorts its input.
 * @param {Float32Array} sorted
 * @param {number} percent
 */
export function percentile(sorted, percent) {
    sorted.sort()
    const place = ((sorted.length - 1) * percent) / 100, low = Math.floor(place)
    const high = Math.min(low + 1, sorted.length - 1)
    return sorted[low] + (sorted[high] - sorted[low]) * (place - low)
}

/**
 * The value of the full colour: the percentile of |values|, their maximum where nearly all are 0, and 0 if all are the same.
 * @param {Float32Array} values
 * @param {number} floor what rounding alone can make
 * @param {number} percent
 * @param {number} relative rounding of one step, for maps that are the same everywhere
 */
export function automaticLimit(values, floor, percent, relative) {
    let low = Infinity, high = -Infinity
    const magnitudes = new Float32Array(values.length)
    for (let i = 0; i < values.length; i++) {
        const value = values[i]
        if (value < low) low = value
        if (value > high) high = value
        magnitudes[i] = Math.abs(value)
    }
    const largest = Math.max(Math.abs(low), Math.abs(high))
    if (high - low <= Math.max(floor, relative * largest)) return 0
    const limit = percentile(magnitudes, percent)
    return limit > floor ? limit : largest
}

/**
 * At most three significant digits, with a true minus sign: 0.0123, −1.5, 1230, 2.1e−07.
 * @param {number} value
 */
export function formatValue(value) {
    const rounded = Number(value.toPrecision(3))
    const size = Math.abs(rounded)
    let text = String(rounded)
    if (size !== 0 && (size < 1e-4 || size >= 1e6)) {
        const [digits, power] = rounded.toExponential().split('e')
        text = `${digits}e${power[0]}${power.slice(1).padStart(2, '0')}`
    }
    return text.replaceAll('-', '−')
}

/**
 * A value to the second significant digit of its standard error, as far as single precision has digits: 68.9 ± 2.1; alone without one.
 * @param {number} value
 * @param {number | null} error
 */
export function withError(value, error) {
    if (error === null) return formatValue(value)
    const shown = Number(error.toPrecision(2)), decimals = shown ? Math.max(0, 1 - magnitude(shown)) : 0
    if (!shown || decimals + magnitude(value) > 6) return `${formatValue(value)} ± ${formatValue(shown)}`
    return `${value.toFixed(decimals)} ± ${shown.toFixed(decimals)}`.replaceAll('-', '−')
}

/** The power of ten of the first digit: 2 for 350, -1 for 0.2, 0 for 0. @param {number} value */
function magnitude(value) {
    return value ? Math.floor(Math.log10(Math.abs(value))) : 0
}
