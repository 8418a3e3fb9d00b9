// Lines where a map reaches a value, by marching squares between the cells' centres.

/**
 * The line's pieces in cells, [x, y, x, y] each; the map's edge counts as 0, so that lines close.
 * @param {Float32Array} values [rows * columns]
 * @param {number} rows
 * @param {number} columns
 * @param {number} limit above 0 for what lies above it, below 0 for what lies below it
 * @returns {number[][]}
 */
export function contour(values, rows, columns, limit) {
    const side = Math.sign(limit), reach = Math.abs(limit)
    const at = (/** @type {number} */ x, /** @type {number} */ y) =>
        x < 0 || y < 0 || x >= columns || y >= rows ? 0 : side * values[y * columns + x]
    const place = (/** @type {number} */ cell, /** @type {number} */ cells) => Math.max(0, Math.min(cells, cell + 0.5))
    const lines = []
    for (let y = -1; y < rows; y++)
        for (let x = -1; x < columns; x++) {
            const corners = [[x, y], [x + 1, y], [x + 1, y + 1], [x, y + 1]], value = corners.map(([cx, cy]) => at(cx, cy))
            const inside = value.map(each => each >= reach)
            if (inside.every(Boolean) || !inside.some(Boolean)) continue
            const crossings = []
            for (let i = 0; i < 4; i++) {
                const next = (i + 1) % 4
                if (inside[i] === inside[next]) continue
                const share = (reach - value[i]) / (value[next] - value[i])
                const between = (/** @type {number} */ axis, /** @type {number} */ cells) => {
                    const from = place(corners[i][axis], cells), to = place(corners[next][axis], cells)
                    return from + share * (to - from)
                }
                crossings.push([between(0, columns), between(1, rows)])
            }
            // four crossings: two pieces, each around a corner of its own
            for (let i = 0; i + 1 < crossings.length; i += 2) {
                const turned = crossings.length === 4 && inside[0] ? (i + 3) % 4 : i
                lines.push([...crossings[turned], ...crossings[(turned + 1) % crossings.length]])
            }
        }
    return lines
}

/** Lines with gaps: the middle half of each piece. @param {number[][]} lines */
export function dashed(lines) {
    return lines.map(([x, y, toX, toY]) => [(3 * x + toX) / 4, (3 * y + toY) / 4, (x + 3 * toX) / 4, (y + 3 * toY) / 4])
}
