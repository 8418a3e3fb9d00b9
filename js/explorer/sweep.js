// The play button: the range sweeps through the schedule until it is stopped.

import { button } from './dom.js'
import { TEXTS } from './texts.js'

const SPEED = 8 // steps a second

export class Sweep {
    /**
     * @param {object} on
     * @param {() => { start: number, end: number, steps: number } | null} on.range what is shown; null if there is nothing to sweep
     * @param {(start: number, end: number) => void} on.pass shows a range in passing
     * @param {(start: number, end: number) => void} on.keep is where it was stopped
     */
    constructor(on) {
        this.on = on
        this.asked = 0
        /** @type {[number, number] | null} */
        this.reached = null
        this.element = button('▶', TEXTS.play, () => this.toggle())
        this.element.classList.add('sdx-play')
        this.#label(false)
    }

    toggle() {
        if (this.asked) return this.stop()
        const range = this.on.range()
        if (!range) return
        const { start, end, steps } = range, whole = end - start === steps
        const width = whole ? Math.max(1, Math.round(steps / 10)) : end - start, last = steps - width
        const origin = whole || start >= last ? 0 : start, began = performance.now()
        this.#label(true)
        const tick = (/** @type {number} */ now) => {
            const from = (origin + Math.max(0, Math.floor(((now - began) / 1000) * SPEED))) % (last + 1)
            if (from !== this.reached?.[0]) {
                this.reached = [from, from + width]
                this.on.pass(...this.reached)
            }
            this.asked = requestAnimationFrame(tick)
        }
        this.asked = requestAnimationFrame(tick)
    }

    /** End the sweep and keep where it is. */
    stop() {
        const { reached } = this
        this.remove()
        if (reached) this.on.keep(...reached)
    }

    /** @param {boolean} on */
    #label(on) {
        this.element.textContent = on ? '❚❚' : '▶'
        this.element.setAttribute('aria-pressed', String(on))
    }

    remove() {
        cancelAnimationFrame(this.asked)
        this.asked = 0
        this.reached = null
        this.#label(false)
    }
}
