// From levels to coloured pixels, as nodes/maths/pictures/overlay.py draws them: the colour tables come from there.

/**
 * @typedef {{ table: Uint8Array, signed: boolean, opacity: number, smooth: boolean, solid: boolean, ground: number[] }} Look
 * table: 256 colours of 3 bytes; solid: the colours alone, for the heatmap without picture;
 * ground: the greys from 0 to 1 that black and white of the picture become below the map.
 */

/**
 * The colours that a view asks for, and the map that they are of.
 * @param {import('./safetensors.js').Contents} overview
 * @param {import('./model.js').View} view
 * @param {boolean} signed
 */
export function lookOf({ header, arrays }, view, signed) {
    const name = view.colour_map === 'automatic' ? header.automatic[signed ? 'signed' : 'unsigned'] : view.colour_map
    const place = header.maps.findIndex((/** @type {any} */ entry) => entry.name === name)
    const table = /** @type {Uint8Array} */ (arrays.colours.values.subarray(place * 768, (place + 1) * 768))
    const ground = view.background === 'grey' ? header.maps[place].ground : [0, 1]
    /** @type {Look} */
    const look = { table, signed, opacity: view.opacity, smooth: view.interpolation === 'smooth', solid: false, ground }
    return { look, map: /** @type {{ name: string, ends: string[] }} */ (header.maps[place]) }
}

/**
 * value / limit of every cell, clipped to what is shown; 0 if there is no scale.
 * @param {Float32Array} values
 * @param {number} limit
 * @param {boolean} signed
 * @param {string} sign both, positive or negative
 * @param {Float32Array} out
 */
export function levels(values, limit, signed, sign, out) {
    const low = signed && sign !== 'positive' ? -1 : 0, high = sign === 'negative' ? 0 : 1
    for (let i = 0; i < out.length; i++) out[i] = limit > 0 ? Math.min(high, Math.max(low, values[i] / limit)) : 0
    return out
}

/**
 * Where each of `size` pixels reads among `cells`: the two cells and the second one's share.
 * @param {number} size
 * @param {number} cells
 * @param {boolean} smooth bilinear between cells' centres, else the nearest cell
 */
export function places(size, cells, smooth) {
    const first = new Int32Array(size), second = new Int32Array(size), share = new Float32Array(size)
    for (let i = 0; i < size; i++) {
        const place = ((i + 0.5) * cells) / size
        const centre = smooth ? Math.max(0, place - 0.5) : Math.floor(place)
        first[i] = Math.min(cells - 1, Math.floor(centre))
        second[i] = Math.min(cells - 1, first[i] + 1)
        share[i] = smooth ? centre - Math.floor(centre) : 0
    }
    return { first, second, share }
}

/** The look of every level as 1024 premixed pixels, level -1 … 1: [1024] of RGBA in one number, red lowest. */
const MIXED = 1024

/** @param {Look} look */
export function mix({ table, signed, opacity, solid }) {
    const mixed = new Uint32Array(MIXED + 1)
    for (let i = 0; i <= MIXED; i++) {
        const level = (2 * i) / MIXED - 1
        const place = Math.max(0, Math.min(255, Math.floor((signed ? (level + 1) / 2 : level) * 256)))
        const strength = signed ? Math.abs(level) : Math.max(0, level) ** 1.5
        const alpha = solid ? 255 : Math.round(255 * opacity * strength)
        mixed[i] = (table[3 * place] | (table[3 * place + 1] << 8) | (table[3 * place + 2] << 16) | (alpha << 24)) >>> 0
    }
    return mixed
}

/**
 * Levels [rows,columns] as pixels [height,width], one number each.
 * @param {Float32Array} cells
 * @param {number} rows
 * @param {number} columns
 * @param {Look} look
 * @param {Uint32Array} pixels
 * @param {number} width
 * @param {number} height
 */
export function paint(cells, rows, columns, look, pixels, width, height) {
    const mixed = mix(look), x = places(width, columns, look.smooth), y = places(height, rows, look.smooth)
    const line = new Float32Array(columns), half = MIXED / 2
    for (let row = 0, to = 0; row < height; row++) {
        const above = y.first[row] * columns, below = y.second[row] * columns, part = y.share[row]
        for (let column = 0; column < columns; column++) {
            const value = cells[above + column]
            line[column] = half + half * (value + (cells[below + column] - value) * part) + 0.5
        }
        for (let column = 0; column < width; column++, to++) {
            const value = line[x.first[column]]
            pixels[to] = mixed[(value + (line[x.second[column]] - value) * x.share[column]) | 0]
        }
    }
}
