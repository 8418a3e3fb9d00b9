// The exported picture, as SVG: what is shown, its legend below it, and the settings and the workflow within. PNG is drawn from it.

import { make } from './dom.js'
import { withText } from './files.js'
import { TEXTS } from './texts.js'

/** @typedef {import('./stage.js').Stage} Stage */
/** @typedef {{ stops: string[], ends: string[], numbers: string[] } | null} Key */
/** @typedef {{ stage: Stage, key: Key, lines: string[] }} Column a map with its words, the first of them its title */
/** @typedef {{ svg: string, width: number, height: number }} Sheet */

const WIDTH = 1024, PAIR = 1600, EDGE = 20, LINE = 30, BAR = 18, FONT = 'system-ui, sans-serif'
const PAPERS = {
    white: { paper: '#ffffff', ink: '#16181d', halo: '' },
    dark: { paper: '#16181d', ink: '#f2f3f5', halo: '' },
    transparent: { paper: '', ink: '#16181d', halo: '#ffffff' }, // read on every ground: so wide that it fills the gaps between letters
}

/**
 * @param {Column[]} columns
 * @param {string} paper what lies behind the legend
 * @param {Record<string, unknown>} texts what is kept within, by keyword
 * @returns {Sheet}
 */
export function drawSheet(columns, paper, texts) {
    const width = columns.length > 1 ? PAIR : WIDTH, room = width / columns.length
    const tall = Math.max(...columns.map(({ stage }) => heightOf(stage, room)))
    const parts = columns.map((column, i) => drawColumn(column, i * room, room, tall)), height = Math.max(...parts.map(part => part.bottom)) + EDGE
    const { paper: ground, ink, halo } = PAPERS[/** @type {keyof typeof PAPERS} */ (paper)] ?? PAPERS.white
    const kept = Object.entries(texts).map(([name, content]) => `<${name}>${escaped(JSON.stringify(content))}</${name}>`)
    const letters = `fill="${ink}" font-family="${FONT}"${halo ? ` stroke="${halo}" stroke-width="10" stroke-linejoin="round" paint-order="stroke"` : ''}`
    const svg = [
        `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">`,
        `<title>${escaped(columns.map(({ lines }) => lines[0]).join(' | '))}</title><metadata>${kept.join('')}</metadata>`,
        ground && `<rect width="${width}" height="${height}" fill="${ground}"/>`,
        ...parts.map(part => part.picture), `<g ${letters}>`, ...parts.map(part => part.words), '</g></svg>',
    ]
    return { svg: svg.filter(Boolean).join('\n'), width, height }
}

/** @param {Stage} stage @param {number} room */
function heightOf(stage, room) {
    const { size, view } = /** @type {import('./stage.js').Picture} */ (stage.picture)
    return Math.round((room / (view === 'side by side' ? 2 : 1) / size[1]) * size[0])
}

/** @param {Column} column @param {number} left @param {number} room @param {number} tall */
function drawColumn({ stage, key, lines }, left, room, tall) {
    const sheets = stage.sheet(room, heightOf(stage, room)), inner = room - 2 * EDGE
    const picture = [`<image x="${left}" width="${room}" height="${heightOf(stage, room)}" href="${sheets[0].pixels.toDataURL()}"/>`]
    for (const sheet of sheets) picture.push(`<g transform="translate(${left} 0)">${drawLines(sheet)}</g>`)
    /** @type {string[]} */
    const words = []
    let at = tall + EDGE
    if (key) {
        const shares = key.stops.map((colour, i) => `<stop offset="${(i / (key.stops.length - 1)).toFixed(4)}" stop-color="${colour}"/>`)
        picture.push(`<linearGradient id="key${left}">${shares.join('')}</linearGradient><rect x="${left + EDGE}" y="${at}" width="${inner}" height="${BAR}" fill="url(#key${left})"/>`)
        const ends = key.ends.map((end, i) => wrapped(`${key.numbers[2 * i]}  ${end}`.trim(), inner / 2 - 10, 20, 400))
        ends.forEach((rows, i) => rows.forEach((row, j) => words.push(text(row, i ? left + room - EDGE : left + EDGE, at + BAR + 24 + 26 * j, 20, 400, i ? 'end' : 'start'))))
        at += BAR + 12 + 26 * Math.max(...ends.map(rows => rows.length)) + 8
    }
    lines.filter(Boolean).forEach((line, i) => {
        for (const row of wrapped(line, inner, 22, i ? 400 : 700)) words.push(text(row, left + EDGE, (at += LINE) - 6, 22, i ? 400 : 700, 'start'))
    })
    return { picture: picture.join('\n'), words: words.join('\n'), bottom: at }
}

/** Contours, the pinned box and the numbered places. @param {ReturnType<Stage['sheet']>[number]} sheet */
function drawLines({ contours, box, marks }) {
    const twice = (/** @type {string} */ shape, /** @type {number} */ thick) =>
        [['#16181d', thick + 2], ['#ffffff', thick]].map(([colour, width]) => shape.replace('/>', ` fill="none" stroke="${colour}" stroke-width="${width}" stroke-linecap="round"/>`)).join('')
    const short = (/** @type {number} */ value) => Number(value.toFixed(2))
    const path = contours.map(([x, y, toX, toY]) => `M${short(x)} ${short(y)}L${short(toX)} ${short(toY)}`).join('')
    const drawn = [path && twice(`<path d="${path}"/>`, 2)]
    if (box) drawn.push(twice(`<rect x="${short(box.left)}" y="${short(box.top)}" width="${short(box.width)}" height="${short(box.height)}"/>`, 2))
    marks.forEach(({ x, y }, i) => drawn.push(`<circle cx="${short(x)}" cy="${short(y)}" r="14" fill="#16181d" stroke="#ffffff" stroke-width="2"/>`,
        `<text x="${short(x)}" y="${short(y + 6)}" fill="#ffffff" font-family="${FONT}" font-size="17" font-weight="600" text-anchor="middle">${i + 1}</text>`))
    return drawn.join('')
}

/** @param {string} words @param {number} x @param {number} y @param {number} size @param {number} weight @param {string} anchor */
function text(words, x, y, size, weight, anchor) {
    return `<text x="${x}" y="${y}" font-size="${size}" font-weight="${weight}" text-anchor="${anchor}" xml:space="preserve">${escaped(words)}</text>`
}

/**
 * A text in lines that fit: at spaces, and within what has none.
 * @param {string} words @param {number} width @param {number} size @param {number} weight
 * @returns {string[]}
 */
function wrapped(words, width, size, weight) {
    const drawing = /** @type {CanvasRenderingContext2D} */ (make('canvas').getContext('2d'))
    drawing.font = `${weight} ${size}px ${FONT}`
    const lines = [''], fits = (/** @type {string} */ line) => drawing.measureText(line).width <= width
    for (const word of words.split(/(?<=\s)/)) {
        const longer = lines[lines.length - 1] + word
        if (fits(longer.trimEnd())) {
            lines[lines.length - 1] = longer
            continue
        }
        if (lines[lines.length - 1]) lines.push('')
        for (const letter of word) {
            if (!fits(lines[lines.length - 1] + letter)) lines.push('')
            lines[lines.length - 1] += letter
        }
    }
    return lines.map(line => line.trimEnd())
}

/** @param {string} words as text of XML, which has no control characters */
function escaped(words) {
    return words.replaceAll(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '').replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

/**
 * A sheet as a PNG file with texts: ComfyUI opens the workflow that lies in one.
 * @param {Sheet} sheet
 * @param {Record<string, unknown>} texts keyword -> what is kept as JSON
 */
export async function pngOf({ svg, width, height }, texts) {
    const picture = new Image(), address = URL.createObjectURL(new Blob([svg], { type: 'image/svg+xml' }))
    picture.src = address
    await picture.decode()
    const canvas = make('canvas', { width, height })
    canvas.getContext('2d')?.drawImage(picture, 0, 0, width, height)
    URL.revokeObjectURL(address)
    const blob = await new Promise((/** @type {BlobCallback} */ resolve) => canvas.toBlob(resolve, 'image/png'))
    if (!blob) throw new Error(TEXTS.too_large)
    let png = new Uint8Array(await blob.arrayBuffer())
    for (const [keyword, content] of Object.entries(texts)) png = withText(png, keyword, JSON.stringify(content))
    return png
}
