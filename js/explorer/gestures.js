// What mouse, touch and keys do on the picture: point, pin, draw a box, swipe, zoom and pan.

import { within } from './dom.js'

/** @typedef {import('./model.js').Selection} Selection */
/** @typedef {{ x: number, y: number }} Point */

const GRIP = 12 // pixels at which the divider is taken
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }

export class Gestures {
    /**
     * @param {import('./stage.js').Stage} stage
     * @param {object} on
     * @param {(cell: Point | null) => void} on.hover
     * @param {() => Selection | null} on.selection what is pinned, drawn or not yet
     * @param {(selection: Selection | null) => void} on.select
     * @param {(box: Selection | null) => void} on.draw a box while it is drawn
     * @param {() => void} on.next pins the next strongest place
     */
    constructor(stage, on) {
        this.stage = stage
        this.on = on
        /** @type {Map<number, Point>} where each finger or button is down */
        this.down = new Map()
        /** @type {((at: Point) => void) | null} what moving does now */
        this.move = null
        /** @type {(() => void) | null} and letting go */
        this.end = null
        const { canvas } = stage
        canvas.addEventListener('pointerdown', event => this.#press(event))
        canvas.addEventListener('pointermove', event => this.#moved(event))
        for (const name of /** @type {const} */ (['pointerup', 'pointercancel'])) canvas.addEventListener(name, event => this.#release(event))
        canvas.addEventListener('pointerleave', () => on.hover(null))
        canvas.addEventListener('wheel', event => this.#wheel(event), { passive: false })
        // in Nodes 2.0 the page takes the wheel before it comes here, unless it is asked not to
        canvas.addEventListener('focus', () => canvas.setAttribute('data-capture-wheel', 'true'))
        canvas.addEventListener('blur', () => canvas.removeAttribute('data-capture-wheel'))
        canvas.addEventListener('dblclick', () => stage.reset())
        canvas.addEventListener('keydown', event => this.#key(event))
    }

    /** @param {PointerEvent} event */
    #press(event) {
        const { stage } = this
        if (!stage.picture || event.button === 2) return
        event.preventDefault()
        event.stopPropagation()
        stage.canvas.focus({ preventScroll: true })
        try {
            stage.canvas.setPointerCapture(event.pointerId)
        } catch {
            // a pointer that is gone already
        }
        const at = within(stage.canvas, event)
        this.down.set(event.pointerId, at)
        if (this.down.size === 2) return this.#pinch()
        if (this.down.size > 2) return
        if (stage.picture.view === 'swipe' && Math.abs(at.x - stage.swipe * stage.canvas.clientWidth) < GRIP) this.#swipe()
        else if (event.shiftKey || event.button === 1) this.#pan(at)
        else this.#select(at)
    }

    /** @param {PointerEvent} event */
    #moved(event) {
        const { stage } = this, at = within(stage.canvas, event)
        this.on.hover(stage.cellAt(at))
        if (!this.down.has(event.pointerId)) return
        this.down.set(event.pointerId, at)
        this.move?.(at)
    }

    /** @param {PointerEvent} event */
    #release(event) {
        if (!this.down.delete(event.pointerId)) return
        const { end } = this
        this.move = this.end = null // a finger that stays after a pinch does nothing more
        end?.()
    }

    /** The divider follows. */
    #swipe() {
        const { stage } = this
        this.move = at => stage.swipeTo(at.x / stage.canvas.clientWidth)
    }

    /** @param {Point} first */
    #pan(first) {
        const { stage } = this, { x, y } = stage.pan
        this.move = at => stage.panTo(x + at.x - first.x, y + at.y - first.y)
    }

    /** A click pins a cell, or unpins what was pinned there; a drag draws a box. @param {Point} first */
    #select(first) {
        const { stage } = this, from = stage.cellAt(first)
        this.move = at => {
            const to = stage.cellAt(at)
            if (from && to) stage.markBox({ left: Math.min(from.x, to.x), right: Math.max(from.x, to.x), top: Math.min(from.y, to.y), bottom: Math.max(from.y, to.y) })
            this.on.draw(stage.drawn)
        }
        this.end = () => {
            const made = stage.drawn ?? (from && { left: from.x, right: from.x, top: from.y, bottom: from.y })
            stage.drawn = null
            this.on.select(same(made, this.on.selection()) ? null : made)
        }
    }

    /** Two fingers zoom by their distance, and pan by their middle. */
    #pinch() {
        const { stage } = this, span = () => {
            const [a, b] = [...this.down.values()]
            return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, distance: Math.hypot(a.x - b.x, a.y - b.y) || 1 }
        }
        let before = span()
        stage.markBox(null)
        this.end = null
        this.move = () => {
            const now = span()
            stage.panTo(stage.pan.x + now.x - before.x, stage.pan.y + now.y - before.y)
            stage.zoomBy(now.distance / before.distance, now.x, now.y)
            before = now
        }
    }

    /** @param {WheelEvent} event */
    #wheel(event) {
        const { stage } = this
        if (!stage.picture || document.activeElement !== stage.canvas) return // the graph's own zoom
        event.preventDefault()
        event.stopPropagation()
        const at = within(stage.canvas, event)
        stage.zoomBy(Math.exp(-(event.deltaY || event.deltaX) / 400), at.x, at.y)
    }

    /** Arrows move the pin, with Shift they widen it to a box, N pins the next strongest place; + and - zoom there, [ and ] move the divider, Escape unpins. @param {KeyboardEvent} event */
    #key(event) {
        const { stage } = this, { picture } = stage
        if (!picture) return
        const pinned = this.on.selection()
        const by = MOVES[/** @type {keyof typeof MOVES} */ (event.key)]
        const zoom = (/** @type {number} */ factor) => {
            const at = pinned && stage.centreOf(pinned)
            stage.zoomBy(factor, at?.x, at?.y)
        }
        if (by) this.on.select(moved(pinned, picture, by, event.shiftKey))
        else if (event.key === 'Escape') this.on.select(null)
        else if (event.key === '+' || event.key === '=') zoom(1.25)
        else if (event.key === '-') zoom(0.8)
        else if (event.key === '[' || event.key === ']') stage.swipeTo(stage.swipe + (event.key === ']' ? 0.05 : -0.05))
        else if (event.key === '0') stage.reset()
        else if ((event.key === 'n' || event.key === 'N') && !event.ctrlKey && !event.metaKey && !event.altKey) this.on.next()
        else return
        event.preventDefault()
        event.stopPropagation()
    }
}

/**
 * The pin one cell further, or the box that much wider; the middle cell where nothing was pinned.
 * @param {Selection | null} old @param {import('./stage.js').Picture} picture @param {number[]} by @param {boolean} widen
 * @returns {Selection}
 */
function moved(old, { rows, columns }, [right, down], widen) {
    const x = Math.max(0, Math.min(columns - 1, old ? (widen ? old.right : old.left) + right : columns >> 1))
    const y = Math.max(0, Math.min(rows - 1, old ? (widen ? old.bottom : old.top) + down : rows >> 1))
    return old && widen ? { ...old, right: Math.max(old.left, x), bottom: Math.max(old.top, y) } : { left: x, right: x, top: y, bottom: y }
}

/** @param {Selection | null} one @param {Selection | null} other */
function same(one, other) {
    return one !== null && other !== null && one.left === other.left && one.top === other.top && one.right === other.right && one.bottom === other.bottom
}
