// What each step says: of all cells, and of the cells in view. Made once for each setting, whatever range is dragged over them.

/** @typedef {import('./model.js').View} View */
/** @typedef {import('./model.js').Model} Model */
/** @typedef {import('./model.js').Selection} Selection */
/** @typedef {import('./safetensors.js').Contents} Contents */

export class Curves {
    /** @param {Model} model */
    constructor(model) {
        this.model = model
        /** @type {Map<string, any>} the last one of each kind, with what it was made for */
        this.known = new Map()
    }

    /**
     * The reading's total over all cells in each step, [S], and its standard error, null if one isn't known.
     * @param {View} view
     * @returns {{ values: Float64Array, errors: Float64Array | null }}
     */
    ofSteps(view) {
        return this.#once('steps', this.#key(view), () => {
            const { steps } = this.model.header, values = new Float64Array(steps), errors = new Float64Array(steps)
            let known = true
            for (let s = 0; s < steps; s++) {
                const { value, error } = this.model.total(view, view.reading, s, s + 1)
                values[s] = value
                errors[s] = error ?? 0
                known = known && error !== null
            }
            return { values, errors: known ? errors : null }
        })
    }

    /**
     * The same of a cell or a box, [S].
     * @param {View} view @param {Contents} parts @param {Selection} box
     * @returns {Float64Array}
     */
    ofCells(view, parts, box) {
        return this.#once('cells', this.#key(view, box.left, box.top, box.right, box.bottom), () => {
            const { model } = this, sums = model.sums(view, parts), sample = model.sample(view), scalar = model.scalar(view)
            const one = box.left === box.right && box.top === box.bottom, cell = box.top * model.header.width + box.left
            return Float64Array.from({ length: model.header.steps }, (_, s) =>
                one ? sums.at(cell, s, s + 1, sample, scalar) : model.within(view, parts, box, s, s + 1).value,
            )
        })
    }

    /** @param {View} view @param {number[]} cells */
    #key(view, ...cells) {
        return [view.reading, view.weighting, view.scalar, view.sample, this.model.image(view), ...cells].join()
    }

    /** @param {string} kind @param {string} key @param {() => any} make */
    #once(kind, key, make) {
        const known = this.known.get(kind)
        if (known?.key === key) return known.made
        const made = make()
        this.known.set(kind, { key, made })
        return made
    }
}
