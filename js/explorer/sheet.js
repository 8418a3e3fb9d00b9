// The exported picture: what is shown, its legend below it, and within the file the settings and the workflow.

import { make } from './dom.js'
import { withText } from './files.js'
import { TEXTS } from './texts.js'

const WIDTH = 1024
const LINE = 34

/**
 * @param {import('./stage.js').Stage} stage
 * @param {import('./legend.js').Legend} legend
 * @param {string} range which steps
 * @returns {HTMLCanvasElement}
 */
export function drawSheet(stage, legend, range) {
    const { size, view } = /** @type {import('./stage.js').Picture} */ (stage.picture)
    const height = Math.round((WIDTH / (view === 'side by side' ? 2 : 1) / size[1]) * size[0])
    const key = legend.key.hidden ? 0 : 62, lines = [...legend.lines, range].filter(Boolean)
    const sheet = make('canvas', { width: WIDTH, height: height + key + LINE * lines.length + 16 })
    const drawing = /** @type {CanvasRenderingContext2D} */ (sheet.getContext('2d'))
    drawing.fillStyle = '#ffffff'
    drawing.fillRect(0, 0, sheet.width, sheet.height)
    stage.drawSheet(drawing, WIDTH, height)
    drawing.font = '20px system-ui, sans-serif'
    if (key) legend.drawKey(drawing, 20, height + 14, WIDTH - 40)
    drawing.fillStyle = '#16181d'
    lines.forEach((line, i) => {
        drawing.font = `${i ? '' : 'bold '}22px system-ui, sans-serif`
        drawing.fillText(line, 20, height + key + 30 + LINE * i, WIDTH - 40)
    })
    return sheet
}

/**
 * A canvas as a PNG file with texts: ComfyUI opens the workflow that lies in one.
 * @param {HTMLCanvasElement} sheet
 * @param {Record<string, unknown>} texts keyword -> what is kept as JSON
 */
export async function pngOf(sheet, texts) {
    const blob = await new Promise((/** @type {BlobCallback} */ resolve) => sheet.toBlob(resolve, 'image/png'))
    if (!blob) throw new Error(TEXTS.tooLarge)
    let png = new Uint8Array(await blob.arrayBuffer())
    for (const [keyword, content] of Object.entries(texts)) png = withText(png, keyword, JSON.stringify(content))
    return png
}
