// The strongest places of a map: where they are, and the list to jump to them.

import { button, make } from './dom.js'
import { withIcon } from './icons.js'
import { TEXTS } from './texts.js'

/** @typedef {import('./model.js').Selection} Selection */

const MOST = 6

/**
 * The cells of the largest values, each the strongest of its surroundings, strongest first.
 * @param {Float32Array} values [cells] what is shown, 0 where it is clear
 * @param {number} rows
 * @param {number} columns
 * @param {number} [most]
 * @returns {{ x: number, y: number }[]}
 */
export function strongest(values, rows, columns, most = MOST) {
    const apart = Math.max(1, Math.round(Math.min(rows, columns) / 10)), size = (/** @type {number} */ i) => Math.abs(values[i])
    const order = Array.from(values.keys()).filter(i => values[i] !== 0).sort((a, b) => size(b) - size(a))
    /** @type {{ x: number, y: number }[]} */
    const found = []
    for (const i of order) {
        const x = i % columns, y = Math.floor(i / columns)
        if (found.length === most) break
        if (found.every(other => Math.max(Math.abs(other.x - x), Math.abs(other.y - y)) > apart)) found.push({ x, y })
    }
    return found
}

export class Places {
    /**
     * @param {object} on
     * @param {(place: Selection) => void} on.go pins a place
     * @param {(open: boolean) => void} on.turn the list is opened or closed
     */
    constructor(on) {
        this.on = on
        this.list = make('ol', {})
        this.heading = make('p', {})
        this.element = make('div', { className: 'sdx-places', hidden: true }, this.heading, this.list)
        this.button = withIcon(button('', TEXTS.places, () => this.turn(this.element.hidden)), 'places')
        this.button.setAttribute('aria-expanded', 'false')
        this.element.addEventListener('keydown', event => {
            if (event.key !== 'Escape') return
            this.turn(false)
            this.button.focus()
        })
    }

    get open() {
        return !this.element.hidden
    }

    /** @param {boolean} open */
    turn(open) {
        this.element.hidden = !open
        this.button.setAttribute('aria-expanded', String(open))
        this.on.turn(open)
    }

    /** @param {string} unit @param {{ cell: Selection, value: string, says: string }[]} places */
    show(unit, places) {
        if (this.list.children.length !== places.length)
            this.list.replaceChildren(...places.map(() => make('li', {}, make('button', { type: 'button', className: 'sdx-place' }))))
        this.heading.textContent = places.length ? unit : TEXTS.no_places
        places.forEach(({ cell, value, says }, i) => {
            const item = /** @type {HTMLButtonElement} */ (this.list.children[i].firstElementChild)
            item.textContent = value
            item.setAttribute('aria-label', says)
            item.onclick = () => this.on.go(cell)
        })
    }
}
