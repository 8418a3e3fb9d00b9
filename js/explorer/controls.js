// The fields above the picture and behind the gear: faces of the node's widgets.

import { button, make } from './dom.js'

/** @typedef {import('./model.js').View} View */
/** @typedef {import('./model.js').Model} Model */
/** @typedef {import('./model.js').Frame} Frame */

const NAMES = { 'channel norm': 'how much', 'channel mean': 'signed mean' }
const READINGS = 'evidence: what speaks for (+) or against (−) the first prompt. information, absolute: where the prompts differ at all. difference: how, in the latent’s own colours.'
const SIGNS = { both: 'for and against', positive: 'only for', negative: 'only against' }

export class Controls {
    /**
     * @param {object} on
     * @param {(name: keyof View) => string[]} on.options
     * @param {(changes: Partial<View>) => void} on.write keeps changes
     * @param {(changes: Partial<View>) => void} on.pass shows them only
     * @param {() => number} on.limit the value of the full colour now
     * @param {() => void} on.savePicture
     * @param {() => void} on.saveMap
     */
    constructor(on) {
        this.on = on
        /** @type {Map<keyof View, HTMLInputElement | HTMLSelectElement>} */
        this.fields = new Map()
        this.hold = make('input', { type: 'checkbox', 'aria-label': 'Keep the scale while the range changes', title: 'Keep the scale while the range changes' })
        this.hold.addEventListener('change', () => on.write({ scale: this.hold.checked ? Number(on.limit().toPrecision(4)) : 0 }))
        this.more = this.#more()
        const gear = button('⚙', 'More settings', () => {
            this.more.hidden = !this.more.hidden
            gear.setAttribute('aria-expanded', String(!this.more.hidden))
        })
        gear.setAttribute('aria-expanded', 'false')
        this.more.addEventListener('keydown', event => {
            if (event.key !== 'Escape') return
            gear.click()
            gear.focus()
        })
        this.element = make('div', { className: 'sdx-tools', role: 'toolbar', 'aria-label': 'What is shown' },
            this.#select('reading', 'Reading', {}, READINGS), this.#select('scalar', 'Number per cell', NAMES), this.#select('sign', 'Side', SIGNS), this.#select('view', 'View'),
            make('span', { className: 'sdx-space' }),
            make('div', { className: 'sdx-group' },
                button('PNG', 'Save the picture with its legend, settings and workflow', on.savePicture),
                button('NPY', 'Save the map’s numbers as a numpy array', on.saveMap)),
            gear)
    }

    /** @param {keyof View} name @param {string} says @param {Record<string, string>} [names] @param {string} [more] what a tooltip tells besides */
    #select(name, says, names = {}, more = '') {
        const select = make('select', { title: more || says, 'aria-label': says, className: `sdx-field sdx-${name}` })
        for (const option of this.on.options(name)) select.append(make('option', { value: option, textContent: names[option] ?? option }))
        select.addEventListener('change', () => this.on.write({ [name]: select.value }))
        this.fields.set(name, select)
        return select
    }

    /** @param {keyof View} name @param {string} says @param {Record<string, any>} limits */
    #number(name, says, limits) {
        const input = make('input', { title: says, 'aria-label': says, className: 'sdx-field', ...limits })
        input.addEventListener('input', () => {
            if (Number.isFinite(input.valueAsNumber)) this.on.pass({ [name]: input.valueAsNumber })
        })
        input.addEventListener('change', () => {
            const value = Math.min(Number(limits.max), Math.max(Number(limits.min), input.valueAsNumber))
            this.on.write(Number.isFinite(value) ? { [name]: value } : {})
        })
        this.fields.set(name, input)
        return input
    }

    #more() {
        const row = (/** @type {string} */ name, /** @type {(Node | string)[]} */ ...parts) => make('label', {}, make('span', { textContent: name }), ...parts)
        return make('div', { className: 'sdx-more', hidden: true },
            row('Opacity', this.#number('opacity', 'Opacity', { type: 'range', min: '0', max: '1', step: '0.05' })),
            row('Colours', this.#select('colour_map', 'Colour map')),
            row('Background', this.#select('background', 'Background')),
            row('Between cells', this.#select('interpolation', 'Interpolation')),
            row('Full colour at', this.#number('percentile', 'Percentile', { type: 'number', min: '50', max: '100', step: '0.1' }), ' %'),
            row('Hold the scale', this.hold),
            row('Steps count', this.#select('weighting', 'Weighting')),
            row('Cells', this.#select('reliability', 'Reliability')),
            row('beyond', this.#number('threshold', 'Threshold', { type: 'number', min: '0.1', max: '100', step: '0.1' }), ' SE'))
    }

    /** @param {Model} model @param {View} view @param {Frame} frame */
    show(model, view, frame) {
        const { fields } = this
        for (const [name, field] of fields) if (field !== document.activeElement || field instanceof HTMLSelectElement) field.value = String(view[name])
        const field = (/** @type {keyof View} */ name) => /** @type {HTMLSelectElement} */ (fields.get(name))
        field('scalar').hidden = view.reading !== 'difference'
        field('sign').disabled = !frame.words.signed
        const oneOff = model.sample(view) >= 0 || (model.header.antithetic ? model.header.samples / 2 : model.header.samples) < 2
        for (const option of field('reliability').options) option.disabled = option.value !== 'all' && oneOff
        for (const option of field('colour_map').options) {
            const map = model.header.maps.find((/** @type {any} */ entry) => entry.name === option.value)
            option.hidden = option.disabled = Boolean(map) && map.signed !== frame.words.signed
        }
        this.hold.checked = view.scale > 0
    }
}
