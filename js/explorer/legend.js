// What the picture means, in words: both prompts, the colour scale, what the whole picture says, and where the numbers come from.

import { mix } from './colours.js'
import { context, make } from './dom.js'
import { formatValue, withError } from './scale.js'

/** @typedef {import('./model.js').View} View */
/** @typedef {import('./model.js').Model} Model */
/** @typedef {import('./model.js').Frame} Frame */
/** @typedef {import('./colours.js').Look} Look */

const NATS = 'The sum over all cells and the chosen steps. 2.3 nats: the model holds the one label for ten times as likely as the other; 4.6 nats: a hundred times.'

export class Legend {
    constructor() {
        this.title = make('div', { className: 'sdx-title' })
        this.bar = make('canvas', { className: 'sdx-bar', role: 'img', 'aria-label': 'Colour scale' })
        this.numbers = [make('span'), make('span'), make('span')]
        this.ends = [make('span'), make('span')]
        this.key = make('div', { className: 'sdx-key' }, this.bar,
            make('div', { className: 'sdx-row' }, ...this.numbers), make('div', { className: 'sdx-row sdx-ends' }, ...this.ends))
        this.verdict = make('div', { className: 'sdx-verdict', role: 'status', title: NATS })
        this.source = make('div', { className: 'sdx-source' })
        this.element = make('div', { className: 'sdx-legend' }, this.title, this.key, this.verdict, this.source)
        /** @type {string} what the colour bar shows */
        this.barShown = ''
    }

    /**
     * @param {Model} model @param {View} view @param {Frame} frame @param {Look} look
     * @param {{ name: string, ends: string[] }} map @param {string} decodedBy whose colours are shown; '' where it is the map
     */
    show(model, view, frame, look, map, decodedBy) {
        const { header } = model, { words, unit } = frame
        this.title.textContent = isolated(`${quoted(header.target)} vs ${quoted(header.contrast)}`)
        this.key.hidden = Boolean(decodedBy)
        if (!decodedBy) this.#showKey(view, frame, look, map)
        const { value, error } = model.total(view, 'evidence', ...model.range(view))
        const nats = view.weighting === 'information' ? 'nats' : 'noise variances'
        this.verdict.textContent = value === 0 ? 'Whole picture: no evidence either way'
            : isolated(`Whole picture: ${withError(Math.abs(value), error)} ${nats} for ${header.short[value > 0 ? 0 : 1]}`)
        this.verdict.dataset.value = String(value)
        this.source.textContent = decodedBy || [frame.finding, `${words.quantity}, ${unit}`].filter(Boolean).join('. ')
    }

    /** @param {View} view @param {Frame} frame @param {Look} look @param {{ name: string, ends: string[] }} map */
    #showKey(view, { words, limit, note, values }, look, map) {
        const low = words.signed && view.sign !== 'positive' ? -1 : 0, high = view.sign === 'negative' ? 0 : 1
        const [lowColour, highColour] = map.ends
        this.ends[0].textContent = note ? '' : low < 0 || !words.signed ? isolated(`${words.signed ? lowColour : 'clear'}: ${words.negative}`) : 'clear: no difference'
        this.ends[1].textContent = note || (high > 0 ? isolated(`${highColour}: ${words.positive}`) : 'clear: no difference')
        let largest = 0, lowest = 0
        for (const value of values) {
            largest = Math.max(largest, value)
            lowest = Math.min(lowest, value)
        }
        const texts = note ? ['', '', ''] : [
            `${low < 0 && lowest < -limit ? '≤ ' : ''}${formatValue(low * limit)}`, low < 0 && high > 0 ? '0' : '', `${high > 0 && largest > limit ? '≥ ' : ''}${formatValue(high * limit)}`,
        ]
        this.numbers.forEach((element, i) => (element.textContent = texts[i]))
        const shown = [map.name, look.opacity, low, high, this.bar.clientWidth].join()
        if (shown === this.barShown || !this.bar.clientWidth) return
        this.barShown = shown
        const { drawing, width, height } = context(this.bar)
        drawBar(drawing, look, low, high, 0, 0, width, height)
        this.drawn = { look, low, high }
    }

    /** What is said besides the colour scale. */
    get lines() {
        return [this.title, this.verdict, this.source].map(part => part.textContent ?? '')
    }

    /** Draws the colour scale with its words, for an export. @param {CanvasRenderingContext2D} drawing @param {number} left @param {number} top @param {number} width */
    drawKey(drawing, left, top, width) {
        if (!this.drawn) return
        drawBar(drawing, this.drawn.look, this.drawn.low, this.drawn.high, left, top, width, 18)
        drawing.fillStyle = '#16181d'
        const texts = this.ends.map((end, i) => `${this.numbers[2 * i].textContent}  ${end.textContent}`.trim())
        drawing.fillText(texts[0], left, top + 40, width / 2 - 10)
        drawing.textAlign = 'right'
        drawing.fillText(texts[1], left + width, top + 40, width / 2 - 10)
        drawing.textAlign = 'left'
    }
}

/**
 * The scale over white, as the picture draws it.
 * @param {CanvasRenderingContext2D} drawing @param {Look} look @param {number} low @param {number} high
 * @param {number} left @param {number} top @param {number} width @param {number} height
 */
function drawBar(drawing, look, low, high, left, top, width, height) {
    const mixed = mix(look)
    drawing.fillStyle = '#ffffff'
    drawing.fillRect(left, top, width, height)
    for (let x = 0; x < width; x++) {
        const pixel = mixed[Math.round(512 + 512 * (low + ((high - low) * (x + 0.5)) / width))]
        drawing.fillStyle = `rgb(${pixel & 255} ${(pixel >> 8) & 255} ${(pixel >> 16) & 255} / ${(pixel >>> 24) / 255})`
        drawing.fillRect(left + x, top, 1, height)
    }
}

/** @param {string} label */
export function quoted(label) {
    return label.trim() ? `“${label.trim()}”` : 'an unnamed prompt'
}

/** Each quoted label reads in its own direction, and leaves that of the words around it alone. @param {string} text */
export function isolated(text) {
    return text.replaceAll(/“[^”]*”/g, label => `\u2068${label}\u2069`)
}
