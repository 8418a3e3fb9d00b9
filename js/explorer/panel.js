// The explorer on its node: controls, picture, slider and legend, and what happens between them.

import { mix } from './colours.js'
import { context, make } from './dom.js'
import { Files } from './data.js'
import { download, npy, withText } from './files.js'
import { Model, readSelection, writeSelection } from './model.js'
import { formatValue, percentile, withError } from './scale.js'
import { Slider } from './slider.js'
import { Stage } from './stage.js'

/** @typedef {import('./model.js').View} View */
/** @typedef {import('./model.js').Selection} Selection */
/**
 * @typedef {object} Settings where the view is kept: the node's widgets
 * @property {() => View} read
 * @property {(changes: Partial<View>) => void} write
 * @property {(name: keyof View) => string[]} options
 * @property {(path: string) => string} url
 */

const SWEEP = 8 // steps a second
const NAMES = { 'channel norm': 'how much', 'channel mean': 'signed mean' }
const SIGNS = { both: 'for and against', positive: 'only for', negative: 'only against' }

export class Panel {
    /** @param {Settings} settings */
    constructor(settings) {
        this.settings = settings
        /** @type {Files | null} */
        this.files = null
        /** @type {Model | null} */
        this.model = null
        /** @type {import('./decode.js').Packed | null} */
        this.parts = null
        /** @type {import('./decode.js').Packed | null} */
        this.differences = null
        /** @type {Partial<View>} what a drag or the sweep shows before it is kept */
        this.passing = {}
        /** @type {{ x: number, y: number } | null} */
        this.hovered = null
        this.photoShown = -1
        /** @type {string} the settings, but for the range, that the controls show */
        this.settingsShown = ''
        /** @type {string} what the colour bar shows */
        this.barShown = ''
        /** @type {string} what the curve was made for */
        this.curveKey = ''
        /** @type {Model | null} */
        this.curveModel = null
        this.waiting = 0
        this.playing = 0
        this.stage = new Stage({ hover: cell => this.#hover(cell), select: selection => this.write({ selection: selection ? writeSelection(selection) : '' }) })
        this.slider = new Slider((start, end, done) => this.#range(start, end, done))
        this.element = this.#build()
        // the curve's ink is the theme's
        this.resized = new ResizeObserver(() => {
            this.barShown = ''
            this.refresh()
        })
        this.resized.observe(this.bar ?? this.element)
        this.themed = new MutationObserver(() => this.refresh())
        for (const place of [document.documentElement, document.body]) this.themed.observe(place, { attributeFilter: ['class', 'style'] })
    }

    /** The settings as they are shown. @returns {View} */
    get view() {
        return { ...this.settings.read(), ...this.passing }
    }

    // ------------------------------------------------------------------------------------------------------------ building

    #build() {
        /** @type {Map<keyof View, HTMLInputElement | HTMLSelectElement>} */
        this.fields = new Map()
        this.verdict = make('div', { className: 'sdx-verdict', role: 'status' })
        this.readout = make('div', { className: 'sdx-readout' })
        this.message = make('div', { className: 'sdx-message' }, 'Run the workflow to explore it here.')
        this.bar = make('canvas', { className: 'sdx-bar', role: 'img', 'aria-label': 'Colour scale' })
        this.ends = [make('span'), make('span')]
        this.numbers = [make('span'), make('span'), make('span')]
        this.source = make('div', { className: 'sdx-source' })
        this.steps = make('div', { className: 'sdx-steps' })
        this.title = make('div', { className: 'sdx-title' })
        this.play = this.#button('▶', 'Play: sweep the range through the steps', () => this.togglePlay())
        this.play.classList.add('sdx-play')
        this.pagers = make('div', { className: 'sdx-pagers' })
        const more = this.#more()
        const moreButton = this.#button('⚙', 'More settings', () => {
            more.hidden = !more.hidden
            moreButton.setAttribute('aria-expanded', String(!more.hidden))
        })
        moreButton.setAttribute('aria-expanded', 'false')
        const exporting = make('div', { className: 'sdx-group' },
            this.#button('PNG', 'Save the picture with its legend and settings', () => this.exportPicture()),
            this.#button('NPY', 'Save the map’s numbers as a numpy array', () => this.exportMap()),
        )
        const tools = make('div', { className: 'sdx-tools', role: 'toolbar', 'aria-label': 'What is shown' },
            this.#select('reading', 'Reading'), this.#select('scalar', 'Number per cell', NAMES), this.#select('sign', 'Side', SIGNS), this.#select('view', 'View'),
            make('span', { className: 'sdx-space' }), exporting, moreButton,
        )
        const picture = make('div', { className: 'sdx-stage' }, this.stage.canvas, this.readout, this.pagers, this.message, more)
        const keys = make('div', { className: 'sdx-key' }, this.bar,
            make('div', { className: 'sdx-row' }, this.numbers[0], this.numbers[1], this.numbers[2]), make('div', { className: 'sdx-row sdx-ends' }, ...this.ends))
        const element = make('div', { className: 'sdx widget-expands', role: 'group', 'aria-label': 'Explorer' }, tools, picture,
            make('div', { className: 'sdx-range' }, this.play, this.slider.element), this.steps,
            make('div', { className: 'sdx-legend' }, this.title, keys, this.verdict, this.source))
        // what is typed and dragged here is not for the graph
        for (const name of ['pointerdown', 'pointermove', 'pointerup', 'dblclick', 'contextmenu']) element.addEventListener(name, event => event.stopPropagation())
        element.addEventListener('keydown', event => {
            if (!event.ctrlKey && !event.metaKey) event.stopPropagation()
        })
        return element
    }

    /** @param {string} text @param {string} says @param {() => void} does */
    #button(text, says, does) {
        return make('button', { type: 'button', className: 'sdx-button', textContent: text, title: says, 'aria-label': says, onclick: does })
    }

    /** @param {keyof View} name @param {string} says @param {Record<string, string>} [names] */
    #select(name, says, names = {}) {
        const select = make('select', { title: says, 'aria-label': says, className: `sdx-field sdx-${name}` })
        for (const option of this.settings.options(name)) select.append(make('option', { value: option, textContent: names[option] ?? option }))
        select.addEventListener('change', () => this.write({ [name]: select.value }))
        this.fields?.set(name, select)
        return select
    }

    /** @param {keyof View} name @param {string} says @param {Record<string, any>} limits */
    #number(name, says, limits) {
        const input = make('input', { title: says, 'aria-label': says, className: 'sdx-field', ...limits })
        input.addEventListener('input', () => {
            if (!Number.isFinite(input.valueAsNumber)) return
            this.passing = { ...this.passing, [name]: input.valueAsNumber }
            this.refresh()
        })
        input.addEventListener('change', () => {
            const value = Math.min(Number(limits.max), Math.max(Number(limits.min), input.valueAsNumber))
            this.passing = {}
            this.write(Number.isFinite(value) ? { [name]: value } : {})
        })
        this.fields?.set(name, input)
        return input
    }

    #more() {
        const row = (/** @type {string} */ name, /** @type {(Node | string)[]} */ ...parts) => make('label', {}, make('span', { textContent: name }), ...parts)
        this.hold = make('input', { type: 'checkbox', 'aria-label': 'Keep the scale while the range changes' })
        this.hold.addEventListener('change', () => this.write({ scale: this.hold?.checked && this.frame ? Number(this.frame.limit.toPrecision(4)) : 0 }))
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

    // ---------------------------------------------------------------------------------------------------------------- data

    /**
     * Show the files of a run.
     * @param {import('./data.js').Place} place
     */
    async open(place) {
        if (this.files?.place.subfolder === place.subfolder && this.model) return this.refresh()
        this.files?.stop()
        const files = (this.files = new Files(place, this.settings.url))
        this.model = this.parts = this.differences = null
        this.photoShown = -1
        this.settingsShown = ''
        await this.#guarded(async () => {
            const overview = await files.read('overview')
            if (this.files !== files) return
            this.model = new Model(overview)
            this.#page()
            this.refresh()
        })
    }

    /** @param {() => Promise<void>} does */
    async #guarded(does) {
        try {
            await does()
        } catch (error) {
            if (/** @type {Error} */ (error).name === 'AbortError' || !this.message) return
            this.message.textContent = /** @type {Error} */ (error).message
            this.message.hidden = false
        }
    }

    /** Keep changes of the settings; those that the new ones don't go with fall back to their neutral value. @param {Partial<View>} changes */
    write(changes) {
        const view = { ...this.settings.read(), ...changes }
        const words = this.model?.words(view)
        if (words && ('reading' in changes || 'scalar' in changes)) {
            if (!words.signed && view.sign === 'negative') changes.sign = 'both'
            const map = this.model?.header.maps.find((/** @type {any} */ entry) => entry.name === view.colour_map)
            if (map && map.signed !== words.signed) changes.colour_map = 'automatic'
        }
        if (['reading', 'scalar', 'weighting', 'reliability'].some(name => name in changes) && !('scale' in changes)) changes.scale = 0
        this.settings.write(changes)
        this.refresh()
    }

    /** Draw again, once a frame. */
    refresh() {
        if (!this.waiting) this.waiting = requestAnimationFrame(() => this.#guarded(() => this.#draw()))
    }

    async #draw() {
        this.waiting = 0
        const { model, files } = this
        if (!model || !files) return
        const view = this.view, image = model.image(view)
        if (this.parts?.header.reading !== view.reading || this.parts?.header.image !== image) {
            const parts = await files.read(`${view.reading}-${image}`)
            if (this.model !== model) return
            this.parts = parts
            return this.refresh()
        }
        if (view.view === 'decoded' && this.differences?.header.image !== image) {
            this.differences = await files.read(`difference-${image}`)
            return this.refresh()
        }
        if (this.photoShown !== image) {
            const bitmap = await files.picture(`photo-${image}`)
            if (this.model !== model) return bitmap.close()
            this.stage.setPhoto(bitmap)
            this.photoShown = image
            return this.refresh()
        }
        this.#show(model, view)
    }

    /** @param {Model} model @param {View} view */
    #show(model, view) {
        const { header } = model, parts = /** @type {import('./decode.js').Packed} */ (this.parts)
        const frame = (this.frame = model.frame(view, parts))
        if (this.message) this.message.hidden = true
        this.selection = readSelection(view.selection, header.width, header.height)
        this.look = this.#look(model, view, frame)
        this.stage.show({
            levels: frame.levels,
            rows: header.height,
            columns: header.width,
            box: header.box,
            size: header.picture,
            look: this.look,
            view: view.view,
            grey: view.background === 'grey',
            decoded: view.view === 'decoded' && this.differences ? this.#decoded(model, view) : null,
            selection: this.selection,
        })
        this.#showRange(model, view)
        this.#showLegend(model, view, frame)
        const { start, end, ...kept } = view
        const settings = JSON.stringify(kept)
        if (settings !== this.settingsShown) this.#showFields(model, view, frame)
        this.settingsShown = settings
        this.#showReadout()
    }

    /** @param {Model} model @param {View} view @param {import('./model.js').Frame} frame */
    #look({ header, arrays }, view, frame) {
        const name = view.colour_map === 'automatic' ? (frame.words.signed ? 'RdBu_r' : 'plasma') : view.colour_map
        const place = header.maps.findIndex((/** @type {any} */ entry) => entry.name === name)
        this.colourMap = header.maps[place]
        const table = /** @type {Uint8Array} */ (arrays.colours.values.subarray(place * 768, (place + 1) * 768))
        return { table, signed: frame.words.signed, opacity: view.opacity, smooth: view.interpolation === 'smooth', solid: false }
    }

    /** @param {Model} model @param {View} view */
    #decoded(model, view) {
        const parts = /** @type {import('./decode.js').Packed} */ (this.differences)
        const own = model.current, colours = model.decoded(view, parts)
        model.current = own
        const magnitudes = colours.map(Math.abs), limit = percentile(magnitudes, 99.5) || 1
        return colours.map(value => Math.min(1, Math.max(0, 0.5 + (0.5 * value) / limit)))
    }

    /** What each step says: of all cells, and of the cell in view. @param {Model} model @param {View} view */
    #showRange(model, view) {
        const [start, end] = model.range(view), { steps, log_snr: logSnr, sigmas } = model.header
        const key = [view.reading, view.weighting, view.sample, model.image(view)].join()
        if (this.curveKey !== key || this.curveModel !== model) {
            const values = new Float64Array(steps), errors = new Float64Array(steps)
            let known = true
            for (let s = 0; s < steps; s++) {
                const { value, error } = model.total(view, view.reading, s, s + 1)
                values[s] = value
                errors[s] = error ?? 0
                known = known && error !== null
            }
            this.curveKey = key
            this.curveModel = model
            this.curve = { values, errors: known ? errors : null }
        }
        const words = model.words(view), curve = /** @type {{ values: Float64Array, errors: Float64Array | null }} */ (this.curve)
        const evidence = view.reading === 'evidence'
        this.slider.show(start, end, { ...curve, signed: evidence, unit: words.unit, cell: this.#cellCurve(model, view) })
        const level = (/** @type {number} */ step) => `σ ${formatValue(sigmas[step])}${logSnr[step] === null ? '' : `, λ ${formatValue(logSnr[step])}`}`
        if (this.steps)
            this.steps.replaceChildren(make('span', { textContent: `steps ${start}–${end} of ${steps}` }), make('span', { textContent: `${level(start)}  →  ${level(end - 1)}` }))
    }

    /** @param {Model} model @param {View} view */
    #cellCurve(model, view) {
        const cell = this.hovered ? { left: this.hovered.x, right: this.hovered.x, top: this.hovered.y, bottom: this.hovered.y } : this.selection
        if (!cell || !this.parts) return null
        const parts = this.parts, steps = model.header.steps
        const sums = model.sums(view, parts), width = model.header.width, curve = new Float64Array(steps)
        for (let s = 0; s < steps; s++) {
            // one cell's number by itself: the whole map of each step would be too slow for a moving pointer
            curve[s] = cell.left === cell.right && cell.top === cell.bottom
                ? oneCell(sums, s, model.sample(view), model.scalar(view), cell.top * width + cell.left)
                : model.within(view, parts, cell, s, s + 1).value
        }
        return curve
    }

    /** @param {Model} model @param {View} view @param {import('./model.js').Frame} frame */
    #showLegend(model, view, frame) {
        const { header } = model, { words, limit, note, unit } = frame, [start, end] = model.range(view)
        if (!this.bar || !this.title || !this.verdict || !this.source || !this.ends || !this.numbers) return
        this.title.textContent = `${quoted(header.target)} vs ${quoted(header.contrast)}`
        const low = words.signed && view.sign !== 'positive' ? -1 : 0, high = view.sign === 'negative' ? 0 : 1
        const [lowColour, highColour] = this.colourMap.ends
        this.ends[0].textContent = note ? '' : low < 0 || !words.signed ? `${words.signed ? lowColour : 'clear'}: ${words.negative}` : 'clear: no difference'
        this.ends[1].textContent = note || (high > 0 ? `${highColour}: ${words.positive}` : 'clear: no difference')
        let largest = 0, lowest = 0
        for (const value of frame.values) {
            largest = Math.max(largest, value)
            lowest = Math.min(lowest, value)
        }
        const texts = note ? ['', '', ''] : [
            `${low < 0 && lowest < -limit ? '≤ ' : ''}${formatValue(low * limit)}`, low < 0 && high > 0 ? '0' : '', `${high > 0 && largest > limit ? '≥ ' : ''}${formatValue(high * limit)}`,
        ]
        this.numbers.forEach((element, i) => (element.textContent = texts[i]))
        this.#drawBar(low, high)
        const { value, error } = model.total(view, 'evidence', start, end)
        const nats = view.weighting === 'information' ? 'nats' : 'noise variances'
        this.verdict.textContent = value === 0 ? 'Whole picture: no evidence either way' : `Whole picture: ${withError(Math.abs(value), error)} ${nats} for ${header.short[value > 0 ? 0 : 1]}`
        this.verdict.dataset.value = String(value)
        const shown = view.view === 'decoded' ? 'Colours that the sum adds, from the picture’s own latent' : `${words.quantity}, ${unit}`
        this.source.textContent = [frame.finding, shown].filter(Boolean).join('. ')
    }

    /** @param {number} low @param {number} high */
    #drawBar(low, high) {
        if (!this.bar || !this.look) return
        const shown = [this.colourMap.name, this.look.opacity, low, high].join()
        if (shown === this.barShown || !this.bar.clientWidth) return
        this.barShown = shown
        const { drawing, width, height } = context(this.bar), mixed = mix(this.look)
        drawing.fillStyle = '#ffffff'
        drawing.fillRect(0, 0, width, height)
        for (let x = 0; x < width; x++) {
            const pixel = mixed[Math.round(512 + 512 * (low + ((high - low) * (x + 0.5)) / width))]
            drawing.fillStyle = `rgb(${pixel & 255} ${(pixel >> 8) & 255} ${(pixel >> 16) & 255} / ${(pixel >>> 24) / 255})`
            drawing.fillRect(x, 0, 1, height)
        }
    }

    /** @param {Model} model @param {View} view @param {import('./model.js').Frame} frame */
    #showFields(model, view, frame) {
        const { fields } = this
        if (!fields) return
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
        if (this.hold) this.hold.checked = view.scale > 0
        this.#labelPagers(model, view)
    }

    /** Arrows for a batch's images and for the noise samples, where there are several. */
    #page() {
        const { model } = this
        if (!model || !this.pagers) return
        const { images, samples, layers } = model.header
        /** @type {{ label: HTMLElement, says: (view: View) => string }[]} */
        this.labels = []
        const pager = (/** @type {string} */ name, /** @type {(view: View) => string} */ says, /** @type {(by: number) => void} */ turn) => {
            const label = make('span')
            this.labels?.push({ label, says })
            return make('div', { className: 'sdx-pager', role: 'group', 'aria-label': name },
                this.#button('‹', `Previous ${name}`, () => turn(-1)), label, this.#button('›', `Next ${name}`, () => turn(1)))
        }
        const pagers = []
        if (images > 1)
            pagers.push(pager('image', view => `image ${model.image(view) + 1} of ${images}`, by =>
                this.write({ shown_image: ((model.image(this.view) + by + images) % images) + 1 })))
        if (samples > 1 && layers === 'samples')
            pagers.push(pager('noise sample', view => (model.sample(view) < 0 ? `mean of ${samples} samples` : `sample ${model.sample(view) + 1} of ${samples}`), by =>
                this.write({ sample: (model.sample(this.view) + 1 + by + samples + 1) % (samples + 1), reliability: 'all' })))
        this.pagers.replaceChildren(...pagers)
    }

    /** @param {Model} model @param {View} view */
    #labelPagers(model, view) {
        for (const { label, says } of this.labels ?? []) label.textContent = says(view)
    }

    // -------------------------------------------------------------------------------------------------------- what is done

    /** @param {number} start @param {number} end @param {boolean} done */
    #range(start, end, done) {
        const steps = this.model?.header.steps
        this.stop()
        const range = { start, end: end === steps ? -1 : end }
        if (done) {
            this.passing = {}
            this.write(range)
        } else {
            this.passing = range
            this.refresh()
        }
    }

    /** @param {{ x: number, y: number } | null} cell */
    #hover(cell) {
        if (cell?.x === this.hovered?.x && cell?.y === this.hovered?.y) return
        this.hovered = cell
        if (!this.model || !this.parts || this.waiting) return
        this.#showRange(this.model, this.view)
        this.#showReadout()
    }

    #showReadout() {
        const { model, parts, readout, frame } = this
        if (!model || !parts || !readout || !frame) return
        const cell = this.hovered ? { left: this.hovered.x, right: this.hovered.x, top: this.hovered.y, bottom: this.hovered.y } : this.selection
        readout.hidden = !cell
        if (!cell) return
        const view = this.view, [start, end] = model.range(view), one = cell.left === cell.right && cell.top === cell.bottom
        const { value, error } = model.within(view, parts, cell, start, end)
        const cells = (cell.right - cell.left + 1) * (cell.bottom - cell.top + 1)
        const unit = one ? frame.words.unit : frame.words.unit.replace(' per latent cell', '')
        const where = one ? `Cell ${cell.left}, ${cell.top}` : `Box of ${cells} cells`
        readout.textContent = `${where}: ${withError(value, error)} ${unit}`
        readout.dataset.value = String(value)
    }

    togglePlay() {
        if (this.playing) return this.stop()
        const { model } = this
        if (!model) return
        const { steps } = model.header, [from, to] = model.range(this.view)
        const width = to - from < steps ? to - from : Math.max(1, Math.round(steps / 10))
        const last = steps - width
        if (this.play) this.play.textContent = '❚❚'
        this.play?.setAttribute('aria-pressed', 'true')
        const began = performance.now()
        const origin = to - from < steps && from < last ? from : 0
        const tick = (/** @type {number} */ now) => {
            const start = last ? (origin + Math.floor(((now - began) / 1000) * SWEEP)) % (last + 1) : 0
            if (start !== this.passing.start) {
                this.passing = { start, end: start + width }
                this.refresh()
            }
            this.playing = requestAnimationFrame(tick)
        }
        this.playing = requestAnimationFrame(tick)
    }

    /** End the sweep and keep where it is. */
    stop() {
        if (!this.playing) return
        cancelAnimationFrame(this.playing)
        this.playing = 0
        if (this.play) this.play.textContent = '▶'
        this.play?.setAttribute('aria-pressed', 'false')
        const { start, end } = this.passing
        this.passing = {}
        if (start !== undefined && end !== undefined) this.write({ start, end: end === this.model?.header.steps ? -1 : end })
    }

    // -------------------------------------------------------------------------------------------------------------- export

    /** The whole picture, 1024 pixels wide, with its legend below, and the settings as text within. */
    async exportPicture() {
        const { model, frame, stage } = this
        if (!model || !frame || !stage.picture) return
        const { header } = model, view = this.view, double = view.view === 'side by side' ? 2 : 1
        const width = 1024, height = Math.round((width / double / header.picture[1]) * header.picture[0])
        const range = [...(this.steps?.children ?? [])].map(part => part.textContent).join(', ')
        const lines = [...[this.title, this.verdict, this.source].map(part => part?.textContent ?? ''), range]
        const sheet = make('canvas', { width, height: height + 62 + 34 * lines.length + 16 })
        const drawing = /** @type {CanvasRenderingContext2D} */ (sheet.getContext('2d'))
        drawing.fillStyle = '#ffffff'
        drawing.fillRect(0, 0, sheet.width, sheet.height)
        stage.drawOn(drawing, width, height, stage.frames(width, height, 1, { x: 0, y: 0 }))
        if (this.bar?.width) drawing.drawImage(this.bar, 20, height + 14, width - 40, 18)
        drawing.fillStyle = '#16181d'
        drawing.font = '20px system-ui, sans-serif'
        const ends = (this.ends ?? []).map((end, i) => `${this.numbers?.[2 * i].textContent}  ${end.textContent}`)
        drawing.fillText(ends[0], 20, height + 54, width / 2 - 30)
        drawing.textAlign = 'right'
        drawing.fillText(ends[1], width - 20, height + 54, width / 2 - 30)
        drawing.textAlign = 'left'
        lines.forEach((line, i) => {
            drawing.font = `${i ? '' : 'bold '}22px system-ui, sans-serif`
            drawing.fillText(line, 20, height + 92 + 34 * i, width - 40)
        })
        const blob = await new Promise(resolve => sheet.toBlob(resolve, 'image/png'))
        if (!(blob instanceof Blob)) return
        const words = JSON.stringify({ ...view, target: header.target, contrast: header.contrast, limit: frame.limit, unit: frame.unit, total: this.verdict?.textContent })
        download(withText(new Uint8Array(await blob.arrayBuffer()), 'SDExplain', words), 'explanation.png', 'image/png')
    }

    /** The map as it is shown, [h,w] float32. */
    exportMap() {
        if (!this.model || !this.frame) return
        download(npy(this.frame.values, [this.model.header.height, this.model.header.width]), 'explanation.npy', 'application/octet-stream')
    }

    remove() {
        if (this.playing) cancelAnimationFrame(this.playing)
        if (this.waiting) cancelAnimationFrame(this.waiting)
        this.playing = 0
        this.resized.disconnect()
        this.themed.disconnect()
        this.files?.stop()
        this.slider.remove()
        this.stage.remove()
        this.files = this.model = this.curveModel = this.parts = this.differences = null
        this.element.remove()
    }
}

/**
 * One cell's number in one step.
 * @param {import('./sums.js').Sums} sums @param {number} step @param {number} sample
 * @param {'channel norm' | 'channel mean' | 'value'} scalar @param {number} cell
 */
function oneCell(sums, step, sample, scalar, cell) {
    const prefix = sums.prefix(sample), { channels, cells } = sums.layout
    let total = 0
    for (let k = 0; k < channels; k++) {
        const value = prefix[(step + 1) * sums.plane + k * cells + cell] - prefix[step * sums.plane + k * cells + cell]
        total += scalar === 'channel norm' ? value * value : value
    }
    return scalar === 'channel norm' ? Math.sqrt(total) : scalar === 'channel mean' ? -total / channels : total
}

/** @param {string} label */
function quoted(label) {
    return label.trim() ? `“${label.trim()}”` : 'an unnamed prompt'
}
