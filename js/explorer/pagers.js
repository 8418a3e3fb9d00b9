// Arrows for a batch's images and for the noise samples, if there are several.

import { button, make } from './dom.js'
import { TEXTS } from './texts.js'
import { fill, imageWords, sampleWords } from './words.js'

/** @typedef {import('./model.js').View} View */
/** @typedef {import('./model.js').Model} Model */

export class Pagers {
    /** @param {(changes: Partial<View>) => void} write */
    constructor(write) {
        this.write = write
        this.element = make('div', { className: 'sdx-pagers' })
        /** @type {{ label: HTMLElement, says: (view: View) => string }[]} */
        this.labels = []
    }

    /** @param {Model} model @param {() => View} view */
    open(model, view) {
        const { images, samples, layers } = model.header
        this.labels = []
        const pagers = []
        if (images > 1)
            pagers.push(this.#pager(TEXTS.image, now => imageWords(model, now), by =>
                this.write({ shown_image: ((model.image(view()) + by + images) % images) + 1 })))
        if (samples > 1 && layers === 'samples')
            pagers.push(this.#pager(TEXTS.sample, now => sampleWords(model, now), by =>
                this.write({ sample: (model.sample(view()) + 1 + by + samples + 1) % (samples + 1), reliability: 'all' })))
        this.element.replaceChildren(...pagers)
    }

    /** @param {View} view */
    show(view) {
        for (const { label, says } of this.labels) label.textContent = says(view)
    }

    /** @param {string} name @param {(view: View) => string} says @param {(by: number) => void} turn */
    #pager(name, says, turn) {
        const label = make('span', { 'aria-live': 'polite' })
        this.labels.push({ label, says })
        return make('div', { className: 'sdx-pager', role: 'group', 'aria-label': name },
            button('‹', fill(TEXTS.previous, { name }), () => turn(-1)), label, button('›', fill(TEXTS.next, { name }), () => turn(1)))
    }
}
