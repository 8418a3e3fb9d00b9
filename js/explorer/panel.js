// The explorer on its node: takes the widgets' view and a run's files, asks the model what they say, and has the faces show it.

import { Asking } from './asking.js'
import { Controls } from './controls.js'
import { make } from './dom.js'
import { download, npy } from './files.js'
import { Gestures } from './gestures.js'
import { writeSelection } from './model.js'
import { Pagers } from './pagers.js'
import { Places } from './places.js'
import { drawSheet, pngOf } from './sheet.js'
import { Side } from './side.js'
import { Slider } from './slider.js'
import { Sweep } from './sweep.js'
import { TEXTS, TOOLTIPS } from './texts.js'
import { fill, rangeWords, stepWords } from './words.js'

/** @typedef {import('./model.js').View} View */
/** @typedef {import('./model.js').Frame} Frame */
/** @typedef {import('./model.js').Model} Model */
/** @typedef {import('./model.js').Selection} Selection */
/** @typedef {import('./data.js').Place} Place */
/**
 * @typedef {object} Settings where the view is kept: the node's widgets
 * @property {() => View} read
 * @property {(changes: Partial<View>) => void} write
 * @property {(name: keyof View) => string[]} options
 * @property {(path: string) => string} url
 * @property {() => string[]} missing the inputs that nothing is connected to
 * @property {() => unknown} workflow to go into exported pictures
 * @property {() => ComfyWidget | null} choice how much the model is asked, where that can be set
 * @property {(level: string) => void} choose sets that, and runs
 */

export class Panel {
    /** @param {Settings} settings */
    constructor(settings) {
        this.settings = settings
        /** @type {Place | null} */
        this.place = null
        this.wasStopped = false // whether the run that is shown ended before it was done
        /** @type {Side[]} the maps that are shown: one, or two beside each other */
        this.sides = []
        /** @type {Partial<View>} what a drag or the sweep shows before it is kept */
        this.passing = {}
        /** @type {string} the settings, but for the range, that the controls show */
        this.settingsShown = ''
        this.waiting = 0
        this.removed = new AbortController()
        this.both = [this.#side(0), this.#side(1)]
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
            back: () => this.write({}),
        })
        this.places = new Places({ go: cell => this.#pin(this.sides[0], cell), turn: () => this.refresh() })
        this.controls = new Controls({
            options: settings.options,
            write: changes => this.write(changes),
            pass: changes => this.#pass(changes),
            limit: () => this.sides[0]?.frame?.limit ?? 0,
            savePicture: () => this.#guarded(() => this.exportPicture()),
            saveDrawing: () => this.exportDrawing(),
            saveMap: () => this.exportMap(),
            fullScreen: () => void (document.fullscreenElement ? document.exitFullscreen() : this.element.requestFullscreen()),
        }, this.places.button)
        this.asking = new Asking(settings)
        this.pagers = new Pagers(changes => this.write(changes))
        this.message = make('div', { className: 'sdx-message', role: 'status' })
        this.steps = make('div', { className: 'sdx-steps' }, make('span', { title: [TOOLTIPS.start, TOOLTIPS.end].join(' ') }), make('span', { title: TEXTS.levels }))
        this.pictures = make('div', { className: 'sdx-pictures' })
        this.legends = make('div', { className: 'sdx-legends' })
        this.element = this.#build()
        this.#arrange(1)
        this.#greet()
        // the curve's ink is the theme's, and the colour bar is as wide as the node
        this.resized = new ResizeObserver(() => this.refresh())
        this.resized.observe(this.both[0].legend.bar)
        this.themed = new MutationObserver(() => this.refresh())
        for (const place of [document.documentElement, document.body]) this.themed.observe(place, { attributeFilter: ['class', 'style'] })
    }

    /** The settings as they are shown. @returns {View} */
    get view() {
        return { ...this.settings.read(), ...this.passing }
    }

    /** That of the first map, which the settings are for. */
    get model() {
        return this.both[0].model
    }

    /** What is pinned on a map, drawn or not yet, in its own cells. @param {Side} side @returns {Selection | null} */
    selection(side) {
        const [first] = this.both, pinned = first.selection(this.view)
        return side === first || !pinned || !first.model || !side.model ? pinned : side.cells(pinned, first.model)
    }

    /** @param {number} which */
    #side(which) {
        const side = new Side(this.settings.url, () => {
            for (const other of this.sides) if (other !== side) other.stage.follow(side.stage)
        })
        new Gestures(side.stage, {
            hover: cell => this.#hover(side, cell),
            selection: () => this.selection(side),
            select: cells => (cells ? this.#pin(side, cells) : this.write({ selection: '' })),
            draw: box => this.#drawn(side, box),
            next: () => this.#next(side),
        })
        side.element.classList.add(`sdx-side-${which + 1}`)
        return side
    }

    /** Show one map or both. @param {number} count */
    #arrange(count) {
        this.pictures.replaceChildren(...this.both.slice(0, count).map(side => side.element), this.pagers.element, this.controls.over, this.message, this.places.element, this.controls.more)
        this.legends.replaceChildren(...this.both.slice(0, count).map(side => side.legend.element))
    }

    #build() {
        const element = make('div', { className: 'sdx widget-expands', role: 'group', 'aria-label': TEXTS.explorer }, this.controls.element, this.pictures, this.asking.element,
            make('div', { className: 'sdx-range' }, this.sweep.element, this.slider.element, this.controls.hold), this.steps, this.legends)
        // what is typed and dragged here is not for the graph
        const { signal } = this.removed
        for (const name of ['pointerdown', 'pointermove', 'pointerup', 'dblclick', 'contextmenu']) element.addEventListener(name, event => event.stopPropagation(), { signal })
        element.addEventListener('keydown', event => {
            if (!event.ctrlKey && !event.metaKey) event.stopPropagation()
        }, { signal })
        return element
    }

    // ---------------------------------------------------------------------------------------------------------------- data

    /** Show the files of a run. @param {Place} place */
    async open(place) {
        const known = this.place?.subfolder === place.subfolder && this.place.second === place.second && this.sides.length
        this.place = place
        this.wasStopped = false
        if (known) {
            for (const { files } of this.sides) if (files) files.place.decoded = place.decoded
            return this.refresh()
        }
        this.#close()
        const subfolders = [place.subfolder, ...(place.second ? [place.second] : [])], opened = this.both.slice(0, subfolders.length)
        this.#arrange(opened.length)
        await this.#guarded(async () => {
            const places = subfolders.map((subfolder, i) => ({ ...place, subfolder, decoded: i ? [] : place.decoded }))
            await Promise.all(opened.map((side, i) => side.open(places[i])))
            if (this.place?.subfolder !== place.subfolder || !this.model) return
            this.sides = opened
            this.pagers.open(this.model, () => this.view)
            this.refresh()
        })
    }

    /** The run that is followed has ended before it was done. */
    stopped() {
        this.wasStopped = true
        if (this.place?.live) this.asking.tell(this.place.live, true)
    }

    #close() {
        for (const side of this.both) side.close()
        this.sides = []
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
        const { model, sides } = this
        if (!this.place) return this.#greet()
        if (!model || !sides.length) return
        const views = sides.map(side => side.view(this.view, model))
        const fetching = sides.map((side, i) => side.fetch(views[i])).filter(Boolean)
        if (!fetching.length) return this.#show(model, views)
        await Promise.all(fetching)
        if (this.model === model) this.refresh()
    }

    /** @param {Model} model @param {View[]} views of each map */
    #show(model, views) {
        const { sides } = this, [view] = views
        sides.forEach((side, i) => (side.frame = /** @type {Model} */ (side.model).frame(views[i], /** @type {any} */ (side.parts))))
        this.#oneScale(views)
        this.#say('')
        this.#showRange(model, view)
        sides.forEach((side, i) => side.show(views[i], this.selection(side), this.places.open && i === 0))
        this.#showPlaces()
        this.asking.tell(this.place?.live ?? null, this.wasStopped) // with the map that it is about
        const { start, end, ...kept } = view, settings = JSON.stringify(kept)
        if (settings !== this.settingsShown) {
            this.controls.show(model, view, /** @type {Frame} */ (sides[0].frame))
            this.pagers.show(view)
        }
        this.settingsShown = settings
    }

    /** Two maps of one unit are compared on the wider of their scales. @param {View[]} views */
    #oneScale(views) {
        const frames = this.sides.map(side => /** @type {Frame} */ (side.frame)), limit = Math.max(...frames.map(frame => frame.limit))
        if (frames.length < 2 || frames[0].unit !== frames[1].unit) return
        this.sides.forEach((side, i) => (side.frame = /** @type {Model} */ (side.model).onScale(views[i], frames[i], frames[i].limit && limit)))
    }

    /** What each step says: of all cells, and of those in view. @param {Model} model @param {View} view */
    #showRange(model, view) {
        const { curves, parts, hovered } = this.both[0], [start, end] = model.range(view)
        if (!curves || !parts) return
        const cells = hovered ? { left: hovered.x, right: hovered.x, top: hovered.y, bottom: hovered.y } : this.selection(this.both[0])
        const cell = cells && curves.ofCells(view, parts, cells)
        this.slider.show(start, end, { ...curves.ofSteps(view), asked: model.asked, signed: view.reading === 'evidence', says: (step, value) => stepWords(model, view, step, value), cell })
        rangeWords(model, view).forEach((text, i) => (this.steps.children[i].textContent = text))
    }

    #showPlaces() {
        const [side] = this.sides
        if (!this.places.open || !side) return
        const cells = side.strongest().map(({ x, y }) => ({ left: x, right: x, top: y, bottom: y }))
        this.places.show(side.frame?.unit ?? '', cells.map(cell => ({ cell, value: side.value(this.view, cell), says: side.says(this.view, cell) })))
    }

    // -------------------------------------------------------------------------------------------------------------- pointing

    /** Pin cells of a map on both. @param {Side} side @param {Selection} cells */
    #pin(side, cells) {
        const [first] = this.both
        const own = side === first || !side.model ? cells : first.cells(cells, side.model)
        this.write({ selection: writeSelection(own) })
    }

    /** Read out a box while it is drawn. @param {Side} side @param {Selection | null} box */
    #drawn(side, box) {
        const { model } = this
        if (box && model && side.parts) side.read(side.view(this.view, model), box)
    }

    /** Pin the strongest place after the one that is pinned. @param {Side} side */
    #next(side) {
        const places = side.strongest(), pinned = this.selection(side)
        const at = pinned ? places.findIndex(({ x, y }) => x === pinned.left && y === pinned.top) : -1, place = places[(at + 1) % (places.length || 1)]
        if (place) this.#pin(side, { left: place.x, right: place.x, top: place.y, bottom: place.y })
    }

    /** The same place is pointed at on both maps. @param {Side} at @param {{ x: number, y: number } | null} cell */
    #hover(at, cell) {
        if (cell?.x === at.hovered?.x && cell?.y === at.hovered?.y) return
        const { model, sides } = this
        for (const side of sides) {
            const same = cell && at.model && side !== at ? side.cells({ left: cell.x, right: cell.x, top: cell.y, bottom: cell.y }, at.model) : null
            side.hovered = side === at ? cell : same && { x: (same.left + same.right) >> 1, y: (same.top + same.bottom) >> 1 }
            if (sides.length > 1) side.stage.point(side.hovered)
        }
        if (!model || this.waiting || sides.some(side => !side.frame || !side.parts)) return
        this.#showRange(model, this.view)
        for (const side of sides) side.read(side.view(this.view, model), this.selection(side))
    }

    // -------------------------------------------------------------------------------------------------------------- export

    /** What is shown and its legend as a drawing, and what is kept with it: the settings, and the workflow with which ComfyUI opens it. */
    #sheet() {
        const { model, sides } = this, [{ frame, legend }] = sides
        const { target, contrast } = /** @type {Model} */ (model).header, range = [...this.steps.children].map(part => part.textContent).join(', ')
        const settings = { ...this.view, target, contrast, limit: frame?.limit, unit: frame?.unit, total: legend.verdict.textContent }
        const texts = { SDExplain: settings, workflow: this.settings.workflow() }
        const columns = sides.map(({ stage, legend: { sheetKey, lines }, pinned }) => ({ stage, key: sheetKey, lines: [...lines, pinned.textContent ?? '', range] }))
        return { sheet: drawSheet(columns, this.view.paper, texts), texts }
    }

    async exportPicture() {
        if (!this.sides[0]?.frame) return
        const { sheet, texts } = this.#sheet()
        download(await pngOf(sheet, texts), 'explanation.png', 'image/png')
    }

    exportDrawing() {
        if (this.sides[0]?.frame) download(new TextEncoder().encode(this.#sheet().sheet.svg), 'explanation.svg', 'image/svg+xml')
    }

    /** The map as it is shown, [h,w] float32. */
    exportMap() {
        const [side] = this.sides
        if (side?.frame && side.model) download(npy(side.frame.values, [side.model.header.height, side.model.header.width]), 'explanation.npy', 'application/octet-stream')
    }

    remove() {
        cancelAnimationFrame(this.waiting)
        this.resized.disconnect()
        this.themed.disconnect()
        this.#close()
        this.sweep.stop()
        this.slider.remove()
        for (const side of this.both) side.remove()
        this.removed.abort()
        this.element.remove()
        this.element.replaceChildren()
    }
}
