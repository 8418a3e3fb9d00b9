// The fields above the picture and behind the gear: faces of the node's widgets.

import { button, make } from './dom.js'
import { setIcon, withIcon } from './icons.js'
import { FIELDS, OPTIONS, TEXTS, TOOLTIPS } from './texts.js'

/** @typedef {import('./model.js').View} View */
/** @typedef {import('./model.js').Model} Model */
/** @typedef {import('./model.js').Frame} Frame */

export class Controls {
    /**
     * @param {object} on
     * @param {(name: keyof View) => string[]} on.options
     * @param {(changes: Partial<View>) => void} on.write keeps changes
     * @param {(changes: Partial<View>) => void} on.pass shows them only
     * @param {() => number} on.limit the value of the full colour now
     * @param {() => void} on.savePicture
     * @param {() => void} on.saveDrawing
     * @param {() => void} on.saveMap
     * @param {() => void} on.fullScreen
     * @param {HTMLElement} places opens the list of the strongest
     */
    constructor(on, places) {
        this.on = on
        /** @type {Map<keyof View, HTMLInputElement | HTMLSelectElement>} */
        this.fields = new Map()
        this.held = false
        this.hold = button('', TEXTS.hold, () => on.write({ scale: this.held ? 0 : Number(on.limit().toPrecision(4)) }))
        this.hold.classList.add('sdx-hold')
        this.more = this.#more()
        const gear = button('⚙', TEXTS.more, () => {
            this.more.hidden = !this.more.hidden
            gear.setAttribute('aria-expanded', String(!this.more.hidden))
        })
        gear.setAttribute('aria-expanded', 'false')
        this.more.addEventListener('keydown', event => {
            if (event.key !== 'Escape') return
            gear.click()
            gear.focus()
        })
        this.element = make('div', { className: 'sdx-tools', role: 'toolbar', 'aria-label': TEXTS.tools },
            this.#select('reading'), this.#select('scalar'), this.#select('sign'), this.#select('view'),
            make('div', { className: 'sdx-group' },
                button('PNG', TEXTS.save_picture, on.savePicture),
                button('SVG', TEXTS.save_drawing, on.saveDrawing),
                button('NPY', TEXTS.save_map, on.saveMap)),
            gear)
        this.over = make('div', { className: 'sdx-over' }, places,
            ...(document.fullscreenEnabled ? [withIcon(button('', TEXTS.full_screen, on.fullScreen), 'screen')] : []))
    }

    /** @param {keyof View} name */
    #select(name) {
        const { name: called, says } = FIELDS[name]
        const select = make('select', { title: says ?? TOOLTIPS[name] ?? called, 'aria-label': called, className: `sdx-field sdx-${name}` })
        for (const option of this.on.options(name)) select.append(make('option', { value: option, textContent: OPTIONS[option] ?? option }))
        select.addEventListener('change', () => this.on.write({ [name]: select.value }))
        this.fields.set(name, select)
        return select
    }

    /** @param {keyof View} name @param {Record<string, any>} limits */
    #number(name, limits) {
        const called = FIELDS[name].name, input = make('input', { title: TOOLTIPS[name] ?? called, 'aria-label': called, className: 'sdx-field', ...limits })
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
        const labelled = (/** @type {string} */ name, /** @type {(Node | string)[]} */ ...parts) => make('label', {}, make('span', { textContent: name }), ...parts)
        const row = (/** @type {keyof View} */ name, field = /** @type {HTMLElement} */ (this.#select(name))) => labelled(FIELDS[name].row ?? '', field, FIELDS[name].unit ?? '')
        return make('div', { className: 'sdx-more', hidden: true },
            row('opacity', this.#number('opacity', { type: 'range', min: '0', max: '1', step: '0.05' })),
            row('colour_map'), row('background'), row('interpolation'),
            row('percentile', this.#number('percentile', { type: 'number', min: '50', max: '100', step: '0.1' })),
            row('weighting'), row('reliability'),
            row('threshold', this.#number('threshold', { type: 'number', min: '0.1', max: '100', step: '0.1' })),
            row('contour', this.#number('contour', { type: 'range', min: '0', max: '1', step: '0.05' })),
            row('paper'))
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
        this.held = view.scale > 0
        this.hold.setAttribute('aria-pressed', String(this.held))
        setIcon(this.hold, this.held ? 'held' : 'free')
    }
}
