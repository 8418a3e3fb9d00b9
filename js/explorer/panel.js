// The explorer on its node: takes the widgets' view and a run's files, asks the model what they say, and has the faces show it.

import { lookOf } from './colours.js'
import { Controls } from './controls.js'
import { Curves } from './curves.js'
import { Files } from './data.js'
import { make } from './dom.js'
import { download, npy } from './files.js'
import { Gestures } from './gestures.js'
import { Legend } from './legend.js'
import { Model, readSelection, writeSelection } from './model.js'
import { Pagers } from './pagers.js'
import { drawSheet, pngOf } from './sheet.js'
import { Slider } from './slider.js'
import { Stage } from './stage.js'
import { Sweep } from './sweep.js'
import { TEXTS } from './texts.js'
import { cellWords, decoderWords, fill, rangeWords, stepWords } from './words.js'

/** @typedef {import('./model.js').View} View */
/** @typedef {import('./model.js').Frame} Frame */
/** @typedef {import('./model.js').Selection} Selection */
/** @typedef {import('./safetensors.js').Contents} Contents */
/**
 * @typedef {object} Settings where the view is kept: the node's widgets
 * @property {() => View} read
 * @property {(changes: Partial<View>) => void} write
 * @property {(name: keyof View) => string[]} options
 * @property {(path: string) => string} url
 * @property {() => string[]} missing the inputs that nothing is connected to
 * @property {() => unknown} workflow to go into exported pictures
 */

export class Panel {
    /** @param {Settings} settings */
    constructor(settings) {
        this.settings = settings
        /** @type {Files | null} */
        this.files = null
        /** @type {Model | null} */
        this.model = null
        /** @type {Curves | null} */
        this.curves = null
        /** @type {Contents | null} of the view's reading and image */
        this.parts = null
        /** @type {Contents | null} of the reading "difference", for what is decoded */
        this.differences = null
        /** @type {{ name: string, bitmap: ImageBitmap } | null} the VAE's picture of what is shown */
        this.decoded = null
        /** @type {Frame | null} */
        this.frame = null
        /** @type {Partial<View>} what a drag or the sweep shows before it is kept */
        this.passing = {}
        /** @type {{ x: number, y: number } | null} */
        this.hovered = null
        this.photoShown = -1
        /** @type {string} the settings, but for the range, that the controls show */
        this.settingsShown = ''
        this.waiting = 0
        this.removed = new AbortController()

        this.stage = new Stage()
        this.gestures = new Gestures(this.stage, {
            hover: cell => this.#hover(cell),
            selection: () => this.selection,
            select: selection => this.write({ selection: selection ? writeSelection(selection) : '' }),
        })
        this.slider = new Slider((start, end, done) => {
            this.sweep.stop()
            if (done) this.#keepRange(start, end)
            else this.#pass({ start, end: this.#kept(end) })
        })
        this.sweep = new Sweep({
            range: () => {
                if (!this.model) return null
                const [start, end] = this.model.range(this.view)
                return { start, end, steps: this.model.header.steps }
            },
            pass: (start, end) => this.#pass({ start, end: this.#kept(end) }),
            keep: (start, end) => this.#keepRange(start, end),
        })
        this.controls = new Controls({
            options: settings.options,
            write: changes => this.write(changes),
            pass: changes => this.#pass(changes),
            limit: () => this.frame?.limit ?? 0,
            savePicture: () => this.#guarded(() => this.exportPicture()),
            saveMap: () => this.exportMap(),
        })
        this.pagers = new Pagers(changes => this.write(changes))
        this.legend = new Legend()
        this.readout = make('div', { className: 'sdx-readout', hidden: true, role: 'status' })
        this.badge = make('div', { className: 'sdx-badge', hidden: true })
        this.message = make('div', { className: 'sdx-message', role: 'status' })
        this.steps = make('div', { className: 'sdx-steps', title: TEXTS.levels }, make('span'), make('span'))
        this.element = this.#build()
        this.#greet()
        // the curve's ink is the theme's, and the colour bar is as wide as the node
        this.resized = new ResizeObserver(() => this.refresh())
        this.resized.observe(this.legend.bar)
        this.themed = new MutationObserver(() => this.refresh())
        for (const place of [document.documentElement, document.body]) this.themed.observe(place, { attributeFilter: ['class', 'style'] })
    }

    /** The settings as they are shown. @returns {View} */
    get view() {
        return { ...this.settings.read(), ...this.passing }
    }

    /** What is pinned, drawn or not yet. @returns {Selection | null} */
    get selection() {
        return this.model && readSelection(this.view.selection, this.model.header.width, this.model.header.height)
    }

    #build() {
        const picture = make('div', { className: 'sdx-stage' }, this.stage.canvas, this.readout, this.badge, this.pagers.element, this.message, this.controls.more)
        const element = make('div', { className: 'sdx widget-expands', role: 'group', 'aria-label': TEXTS.explorer }, this.controls.element, picture,
            make('div', { className: 'sdx-range' }, this.sweep.element, this.slider.element), this.steps, this.legend.element)
        // what is typed and dragged here is not for the graph
        const { signal } = this.removed
        for (const name of ['pointerdown', 'pointermove', 'pointerup', 'dblclick', 'contextmenu']) element.addEventListener(name, event => event.stopPropagation(), { signal })
        element.addEventListener('keydown', event => {
            if (!event.ctrlKey && !event.metaKey) event.stopPropagation()
        }, { signal })
        return element
    }

    // ---------------------------------------------------------------------------------------------------------------- data

    /**
     * Show the files of a run.
     * @param {import('./data.js').Place} place
     */
    async open(place) {
        if (this.files?.place.subfolder === place.subfolder && this.model) {
            this.files.place = place
            return this.refresh()
        }
        this.#close()
        const files = (this.files = new Files(place, this.settings.url))
        await this.#guarded(async () => {
            const overview = await files.read('overview')
            if (this.files !== files) return
            this.model = new Model(overview)
            this.curves = new Curves(this.model)
            this.pagers.open(this.model, () => this.view)
            this.refresh()
        })
    }

    #close() {
        this.files?.stop()
        this.decoded?.bitmap.close()
        this.files = this.model = this.curves = this.parts = this.differences = this.decoded = this.frame = null
        this.photoShown = -1
        this.settingsShown = ''
    }

    /** Say what to do, if there is nothing to show yet. */
    #greet() {
        const missing = this.settings.missing()
        this.#say(missing.length ? fill(TEXTS.connect, { inputs: missing.join(TEXTS.and) }) : TEXTS.run)
    }

    /** @param {string} words over the picture; '' for none */
    #say(words) {
        this.message.textContent = words
        this.message.hidden = !words
        this.element.classList.toggle('sdx-empty', Boolean(words))
    }

    /** @param {() => Promise<void>} does */
    async #guarded(does) {
        try {
            await does()
        } catch (error) {
            if (/** @type {Error} */ (error).name !== 'AbortError') this.#say(/** @type {Error} */ (error).message)
        }
    }

    // ---------------------------------------------------------------------------------------------------------- the settings

    /** Keep changes of the settings; those that the new ones don't go with fall back to their neutral value. @param {Partial<View>} changes */
    write(changes) {
        const { start, end } = this.passing
        this.passing = this.sweep.asked && !('start' in changes) ? { start, end } : {} // the sweep goes on
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

    /** Show changes without keeping them. @param {Partial<View>} changes */
    #pass(changes) {
        this.passing = { ...this.passing, ...changes }
        this.refresh()
    }

    /** @param {number} start @param {number} end */
    #keepRange(start, end) {
        this.write({ start, end: this.#kept(end) })
    }

    /** The schedule's end is kept as -1: it is the end of longer ones, too. @param {number} end */
    #kept(end) {
        return end === this.model?.header.steps ? -1 : end
    }

    // -------------------------------------------------------------------------------------------------------------- showing

    /** Draw again, once a frame. */
    refresh() {
        if (!this.waiting) this.waiting = requestAnimationFrame(() => this.#guarded(() => this.#draw()))
    }

    async #draw() {
        this.waiting = 0
        const { model, files } = this
        if (!files) return this.#greet()
        if (!model) return
        const view = this.view
        const fetching = this.#fetch(model, files, view)
        if (!fetching) return this.#show(model, view)
        await fetching
        if (this.model === model) this.refresh()
    }

    /**
     * Fetch the first thing that the view lacks, null if it lacks nothing.
     * @param {Model} model @param {Files} files @param {View} view
     * @returns {Promise<void> | null}
     */
    #fetch(model, files, view) {
        const image = model.image(view), name = model.decodedName(view), picture = `${name}-${image}`
        if (this.parts?.header.reading !== view.reading || this.parts?.header.image !== image)
            return files.read(`${view.reading}-${image}`).then(parts => {
                if (this.model === model) this.parts = parts
            })
        if (this.photoShown !== image)
            return files.picture(`photo-${image}`).then(bitmap => {
                if (this.model !== model) return bitmap.close()
                this.stage.setPhoto(bitmap)
                this.photoShown = image
            })
        if (view.view !== 'decoded') return null
        if (this.differences?.header.image !== image)
            return files.read(`difference-${image}`).then(parts => {
                if (this.model === model) this.differences = parts
            })
        if (files.place.decoded?.includes(name) && this.decoded?.name !== picture)
            return files.picture(`decoded-${picture}`).then(bitmap => {
                if (this.model !== model) return bitmap.close()
                this.decoded?.bitmap.close()
                this.decoded = { name: picture, bitmap }
            })
        return null
    }

    /** @param {Model} model @param {View} view */
    #show(model, view) {
        const { header } = model, parts = /** @type {Contents} */ (this.parts)
        const frame = (this.frame = model.frame(view, parts)), { look, map } = lookOf(model, view, frame.words.signed)
        const exact = this.decoded?.name === `${model.decodedName(view)}-${model.image(view)}` ? this.decoded.bitmap : null
        const decoding = view.view === 'decoded' && this.differences
        this.#say('')
        this.stage.show({
            levels: frame.levels,
            rows: header.height,
            columns: header.width,
            box: header.box,
            size: header.picture,
            look,
            view: view.view,
            grey: view.background === 'grey',
            decoded: decoding ? (exact ?? model.decoded(view, decoding)) : null,
            selection: this.selection,
        })
        const decoder = decoding ? decoderWords(model, view, Boolean(exact)) : { badge: '', source: '' }
        this.badge.textContent = decoder.badge
        this.badge.hidden = !decoder.badge
        this.#showRange(model, view)
        this.legend.show(model, view, frame, look, map, decoder.source)
        const { start, end, ...kept } = view, settings = JSON.stringify(kept)
        if (settings !== this.settingsShown) {
            this.controls.show(model, view, frame)
            this.pagers.show(view)
        }
        this.settingsShown = settings
        this.#showReadout(model, view)
    }

    /** What each step says: of all cells, and of those in view. @param {Model} model @param {View} view */
    #showRange(model, view) {
        const { curves, parts } = this, [start, end] = model.range(view)
        if (!curves || !parts) return
        const cells = this.#cells, cell = cells && curves.ofCells(view, parts, cells)
        this.slider.show(start, end, { ...curves.ofSteps(view), signed: view.reading === 'evidence', says: (step, value) => stepWords(model, view, step, value), cell })
        rangeWords(model, view).forEach((text, i) => (this.steps.children[i].textContent = text))
    }

    /** What is pointed at, else what is pinned. @returns {Selection | null} */
    get #cells() {
        const at = this.hovered
        return at ? { left: at.x, right: at.x, top: at.y, bottom: at.y } : this.selection
    }

    /** @param {Model} model @param {View} view */
    #showReadout(model, view) {
        const cells = this.#cells
        this.readout.hidden = !cells
        if (!cells || !this.parts) return
        const sum = model.within(view, this.parts, cells, ...model.range(view))
        this.readout.textContent = cellWords(model, view, cells, sum)
        this.readout.dataset.value = String(sum.value)
    }

    /** @param {{ x: number, y: number } | null} cell */
    #hover(cell) {
        if (cell?.x === this.hovered?.x && cell?.y === this.hovered?.y) return
        this.hovered = cell
        if (!this.model || !this.parts || !this.frame || this.waiting) return
        this.#showRange(this.model, this.view)
        this.#showReadout(this.model, this.view)
    }

    // -------------------------------------------------------------------------------------------------------------- export

    /** What is shown, its legend below; within the file are the settings, and the workflow, with which ComfyUI opens it. */
    async exportPicture() {
        const { model, frame, stage } = this
        if (!model || !frame || !stage.picture) return
        const { target, contrast } = model.header, range = [...this.steps.children].map(part => part.textContent).join(', ')
        const settings = { ...this.view, target, contrast, limit: frame.limit, unit: frame.unit, total: this.legend.verdict.textContent }
        const png = await pngOf(drawSheet(stage, this.legend, range), { SDExplain: settings, workflow: this.settings.workflow() })
        download(png, 'explanation.png', 'image/png')
    }

    /** The map as it is shown, [h,w] float32. */
    exportMap() {
        if (!this.model || !this.frame) return
        download(npy(this.frame.values, [this.model.header.height, this.model.header.width]), 'explanation.npy', 'application/octet-stream')
    }

    remove() {
        cancelAnimationFrame(this.waiting)
        this.resized.disconnect()
        this.themed.disconnect()
        this.#close()
        this.sweep.remove()
        this.slider.remove()
        this.stage.remove()
        this.removed.abort()
        this.element.remove()
        this.element.replaceChildren()
    }
}
