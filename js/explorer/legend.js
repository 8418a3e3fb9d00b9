// What the picture means, in words: both prompts, the colour scale, what the whole picture says, and where the numbers come from.

import { mix } from './colours.js'
import { context, make } from './dom.js'
import { TEXTS } from './texts.js'
import { isolated, keyWords, sourceWords, totalWords } from './words.js'

/** @typedef {import('./model.js').View} View */
/** @typedef {import('./model.js').Model} Model */
/** @typedef {import('./model.js').Frame} Frame */
/** @typedef {import('./colours.js').Look} Look */

export class Legend {
    constructor() {
        this.title = make('div', { className: 'sdx-title' })
        this.bar = make('canvas', { className: 'sdx-bar', role: 'img', 'aria-label': TEXTS.bar })
        this.numbers = [make('span'), make('span'), make('span')]
        this.ends = [make('span'), make('span')]
        this.key = make('div', { className: 'sdx-key' }, this.bar,
            make('div', { className: 'sdx-row' }, ...this.numbers), make('div', { className: 'sdx-row sdx-ends' }, ...this.ends))
        this.verdict = make('div', { className: 'sdx-verdict', role: 'status', title: TEXTS.total })
        this.source = make('div', { className: 'sdx-source' })
        this.familiarity = make('div', { className: 'sdx-familiarity' })
        this.element = make('div', { className: 'sdx-legend' }, this.title, this.familiarity, this.key, this.verdict, this.source)
        /** @type {string} what the colour bar shows */
        this.barShown = ''
    }

    /**
     * @param {Model} model @param {View} view @param {Frame} frame @param {Look} look
     * @param {{ name: string, ends: string[] }} map
     * @param {{ decodedBy: string, line: string }} says whose colours are shown, '' where it is the map; and what the contour line marks
     */
    show(model, view, frame, look, map, { decodedBy, line }) {
        this.title.textContent = isolated(model.title)
        const image = model.image(view), strange = model.header.strange[image], recognition = isolated(model.tell(model.header.familiarity[image]))
        this.familiarity.textContent = strange ? recognition : ''
        this.key.hidden = Boolean(decodedBy)
        if (!decodedBy) this.#showKey(model, view, frame, look, map)
        const { value, says, why } = totalWords(model, view)
        this.verdict.textContent = isolated(says)
        this.verdict.title = [...why.map(reason => `${reason}.`), TEXTS.total].join(' ')
        this.verdict.dataset.value = String(value)
        const source = decodedBy || [sourceWords(model, frame), line].filter(Boolean).join('. ')
        this.source.textContent = strange ? source : `${source}. ${recognition}`
    }

    /** @param {Model} model @param {View} view @param {Frame} frame @param {Look} look @param {{ name: string, ends: string[] }} map */
    #showKey(model, view, frame, look, map) {
        const { note } = frame, { low, high, ends, numbers } = keyWords(model, view, frame, map.ends)
        this.ends.forEach((element, i) => (element.textContent = note ? (i ? note : '') : isolated(ends[i])))
        this.numbers.forEach((element, i) => (element.textContent = note ? '' : numbers[i]))
        const shown = [map.name, look.opacity, look.ground, low, high, this.bar.clientWidth].join()
        if (shown === this.barShown || !this.bar.clientWidth) return
        this.barShown = shown
        const { drawing, width, height } = context(this.bar)
        drawBar(drawing, look, low, high, 0, 0, width, height)
        this.drawn = { look, low, high }
    }

    /** What is said besides the colour scale. */
    get lines() {
        return [this.title, this.familiarity, this.verdict, this.source].map(part => part.textContent ?? '')
    }

    /** The colour scale with its words, for an export; null where it is not shown. */
    get sheetKey() {
        if (!this.drawn || this.key.hidden) return null
        const { look, low, high } = this.drawn, mixed = mix(look)
        const stops = Array.from({ length: 33 }, (_, i) => over(look.ground[1], mixed[Math.round(512 + 512 * (low + ((high - low) * i) / 32))]))
        const [ends, numbers] = [this.ends, this.numbers].map(parts => parts.map(part => part.textContent ?? ''))
        return { stops, ends, numbers }
    }
}

/** A pixel of `mix` on grey paper, 0 to 1. @param {number} grey @param {number} pixel */
function over(grey, pixel) {
    const alpha = (pixel >>> 24) / 255
    return `rgb(${[0, 8, 16].map(shift => Math.round(((pixel >> shift) & 255) * alpha + 255 * grey * (1 - alpha))).join(' ')})`
}

/**
 * The scale as the picture draws it over what is white.
 * @param {CanvasRenderingContext2D} drawing @param {Look} look @param {number} low @param {number} high
 * @param {number} left @param {number} top @param {number} width @param {number} height
 */
function drawBar(drawing, look, low, high, left, top, width, height) {
    const mixed = mix(look)
    for (let x = 0; x < width; x++) {
        const pixel = mixed[Math.round(512 + 512 * (low + ((high - low) * (x + 0.5)) / width))]
        drawing.fillStyle = over(look.ground[1], pixel)
        drawing.fillRect(left + x, top, Math.min(2, width - x), height) // into the next, or there is a seam where pixels are no whole ones
    }
}
