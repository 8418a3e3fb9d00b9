// The play button: the range sweeps through the schedule until it is stopped, and is then what it was.

import { button } from './dom.js'
import { TEXTS } from './texts.js'

const SPEED = 8 // steps a second

export class Sweep {
    /**
     * @param {object} on
     * @param {() => { start: number, end: number, steps: number } | null} on.range what is shown; null if there is nothing to sweep
     * @param {(start: number, end: number) => void} on.pass shows a range in passing
     * @param {() => void} on.back shows again what is kept
     */
    constructor(on) {
        this.on = on
        this.asked = 0
        this.element = button('▶', TEXTS.play, () => this.toggle())
        this.element.classList.add('sdx-play')
        this.#label(false)
    }

    toggle() {
        if (this.asked) {
            this.stop()
            return this.on.back()
        }
        const range = this.on.range()
        if (!range) return
        const { start, end, steps } = range, whole = end - start === steps
        const width = whole ? Math.max(1, Math.round(steps / 10)) : end - start, last = steps - width
        const origin = whole || start >= last ? 0 : start, began = performance.now()
        let reached = -1
        this.#label(true)
        const tick = (/** @type {number} */ now) => {
            const from = (origin + Math.max(0, Math.floor(((now - began) / 1000) * SPEED))) % (last + 1)
            if (from !== reached) this.on.pass(from, from + width)
            reached = from
            this.asked = requestAnimationFrame(tick)
        }
        this.asked = requestAnimationFrame(tick)
    }

    /** @param {boolean} on */
    #label(on) {
        this.element.textContent = on ? '❚❚' : '▶'
        this.element.setAttribute('aria-pressed', String(on))
    }

    stop() {
        cancelAnimationFrame(this.asked)
        this.asked = 0
        this.#label(false)
    }
}
