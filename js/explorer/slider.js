// The double-ended slider over the steps, with what each step says behind it.

import { context, make, within } from './dom.js'
import { TEXTS } from './texts.js'

const MARGIN = 12

/**
 * @typedef {object} Curve
 * @property {Float64Array} values [S]
 * @property {Float64Array | null} errors [S]
 * @property {number[]} asked the steps that the model was asked about
 * @property {boolean} signed
 * @property {(step: number, value: number) => string} says what a step says, in words
 * @property {Float64Array | null} cell [S] the curve of the cell in view, on its own scale
 */

export class Slider {
    /** @param {(start: number, end: number, done: boolean) => void} changed */
    constructor(changed) {
        this.changed = changed
        this.start = 0
        this.end = 1
        /** @type {Curve | null} */
        this.curve = null
        this.canvas = make('canvas', { className: 'sdx-curve' })
        this.handles = [TEXTS.first, TEXTS.last].map((name, side) =>
            make('div', { className: 'sdx-handle', tabIndex: 0, role: 'slider', 'aria-label': name, onkeydown: (/** @type {KeyboardEvent} */ event) => this.#key(event, side) }),
        )
        this.element = make('div', { className: 'sdx-slider', role: 'group', 'aria-label': TEXTS.range }, this.canvas, ...this.handles)
        this.element.addEventListener('pointerdown', event => this.#press(event))
        this.resized = new ResizeObserver(() => this.draw())
        this.resized.observe(this.element)
    }

    get steps() {
        return this.curve?.values.length ?? 1
    }

    /** @param {number} start @param {number} end @param {Curve} curve */
    show(start, end, curve) {
        Object.assign(this, { start, end, curve })
        this.draw() // measures the page, hence before anything on it is changed
        this.handles.forEach((handle, side) => {
            const value = side ? end - 1 : start
            handle.setAttribute('aria-valuemin', String(side ? start : 0))
            handle.setAttribute('aria-valuemax', String(side ? this.steps - 1 : end - 1))
            handle.setAttribute('aria-valuenow', String(value))
            handle.setAttribute('aria-valuetext', curve.says(value, curve.values[value]))
        })
    }

    draw() {
        if (!this.curve || !this.element.clientWidth) return
        const places = [this.#at(this.start), this.#at(this.end)]
        const { values, errors, asked, signed, cell } = this.curve
        const { drawing, width, height } = context(this.canvas), style = getComputedStyle(this.element)
        const accent = style.getPropertyValue('--sdx-accent'), ink = style.getPropertyValue('--sdx-ink'), muted = style.getPropertyValue('--sdx-line')
        const spread = (/** @type {number} */ i) => (errors ? errors[i] : 0)
        let high = 0, low = 0
        for (const i of asked) {
            high = Math.max(high, values[i] + spread(i))
            low = Math.min(low, values[i] - spread(i))
        }
        if (!signed) low = 0
        const y = (/** @type {number} */ value) => 6 + ((high - value) / (high - low || 1)) * (height - 12)
        const x = (/** @type {number} */ step) => this.#at(step + 0.5)
        drawing.fillStyle = accent
        drawing.globalAlpha = 0.16
        drawing.fillRect(this.#at(this.start), 0, this.#at(this.end) - this.#at(this.start), height)
        drawing.globalAlpha = 1
        drawing.strokeStyle = muted
        drawing.beginPath()
        drawing.moveTo(MARGIN, y(0) + 0.5)
        drawing.lineTo(width - MARGIN, y(0) + 0.5)
        drawing.stroke()
        if (errors) {
            drawing.globalAlpha = 0.3
            drawing.fillStyle = ink
            drawing.beginPath()
            for (const i of asked) drawing.lineTo(x(i), y(values[i] + errors[i]))
            for (const i of [...asked].reverse()) drawing.lineTo(x(i), y(values[i] - errors[i]))
            drawing.fill()
            drawing.globalAlpha = 1
        }
        const line = (/** @type {Float64Array} */ points, /** @type {(value: number) => number} */ place, /** @type {string} */ colour, /** @type {number} */ thick) => {
            drawing.strokeStyle = colour
            drawing.lineWidth = thick
            drawing.beginPath()
            for (const i of asked) drawing.lineTo(x(i), place(points[i]))
            drawing.stroke()
        }
        line(values, y, ink, 1.5)
        if (asked.length < values.length || asked.length < 2) for (const i of asked) drawing.fillRect(x(i) - 2, y(values[i]) - 2, 4, 4)
        if (cell) {
            const largest = cell.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1
            const reach = Math.max(...[high, -low]) || 1
            drawing.setLineDash([3, 2])
            line(cell, value => y(Math.max(low, Math.min(high, (value / largest) * reach))), accent, 1.5)
            drawing.setLineDash([])
        }
        this.handles.forEach((handle, side) => (handle.style.left = `${places[side]}px`))
    }

    /** @param {number} step */
    #at(step) {
        return MARGIN + (step / this.steps) * (this.element.clientWidth - 2 * MARGIN)
    }

    /** @param {PointerEvent} event */
    #step(event) {
        const share = (within(this.element, event).x - MARGIN) / (this.element.clientWidth - 2 * MARGIN)
        return Math.max(0, Math.min(this.steps, share * this.steps))
    }

    /** Drag an end, or the whole range between them. @param {PointerEvent} event */
    #press(event) {
        if (event.button !== 0 || !this.curve) return
        event.preventDefault()
        event.stopPropagation()
        const at = this.#step(event), reach = (14 / this.element.clientWidth) * this.steps
        const { start, end } = this
        const inside = at > start + reach && at < end - reach && end - start < this.steps
        const side = Math.abs(at - end) < Math.abs(at - start) || at > end ? 1 : 0
        const move = (/** @type {PointerEvent} */ now) => {
            const place = this.#step(now)
            if (inside) {
                const shift = Math.max(-start, Math.min(this.steps - end, Math.round(place - at)))
                this.#change(start + shift, end + shift, false)
            } else this.#set(side, Math.round(place), false)
        }
        const stop = () => {
            this.element.removeEventListener('pointermove', move)
            this.element.removeEventListener('pointerup', stop)
            this.element.removeEventListener('pointercancel', stop)
            this.#change(this.start, this.end, true)
        }
        try {
            this.element.setPointerCapture(event.pointerId)
        } catch {
            // a pointer that is gone already
        }
        this.element.addEventListener('pointermove', move)
        this.element.addEventListener('pointerup', stop)
        this.element.addEventListener('pointercancel', stop)
        if (!inside) {
            this.handles[side].focus({ preventScroll: true })
            move(event)
        }
    }

    /** @param {number} side @param {number} step @param {boolean} done */
    #set(side, step, done) {
        if (side) this.#change(this.start, Math.max(this.start + 1, Math.min(this.steps, step)), done)
        else this.#change(Math.max(0, Math.min(this.end - 1, step)), this.end, done)
    }

    /** What comes before the next frame is drawn has to start from here. @param {number} start @param {number} end @param {boolean} done */
    #change(start, end, done) {
        Object.assign(this, { start, end })
        this.changed(start, end, done)
    }

    /** Arrows move an end, with Shift the whole range. @param {KeyboardEvent} event @param {number} side */
    #key(event, side) {
        const moves = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -5, PageUp: 5, Home: -Infinity, End: Infinity }
        const by = moves[/** @type {keyof typeof moves} */ (event.key)]
        if (by === undefined) return
        event.preventDefault()
        event.stopPropagation()
        if (event.shiftKey) {
            const shift = Math.max(-this.start, Math.min(this.steps - this.end, by))
            this.#change(this.start + shift, this.end + shift, true)
        } else this.#set(side, (side ? this.end : this.start) + by, true)
    }

    remove() {
        this.resized.disconnect()
    }
}
