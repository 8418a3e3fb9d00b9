// One map: its data, its picture and its legend. The explorer has one, or two beside each other.

import { lookOf } from './colours.js'
import { contour, dashed } from './contour.js'
import { Curves } from './curves.js'
import { Files } from './data.js'
import { make } from './dom.js'
import { Legend } from './legend.js'
import { Model, readSelection } from './model.js'
import { strongest } from './places.js'
import { withError } from './scale.js'
import { Stage } from './stage.js'
import { TEXTS, VIEWS, translated } from './texts.js'
import { cellWords, contourWords, decoderWords, fill, withAssumed } from './words.js'

/** @typedef {import('./model.js').View} View */
/** @typedef {import('./model.js').Frame} Frame */
/** @typedef {import('./model.js').Selection} Selection */
/** @typedef {import('./safetensors.js').Contents} Contents */
/** @typedef {{ x: number, y: number }} Point */

export class Side {
    /**
     * @param {(path: string) => string} url
     * @param {() => void} moved the picture was zoomed, panned or swiped
     */
    constructor(url, moved) {
        this.url = url
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
        /** @type {Point | null} the cell that is pointed at */
        this.hovered = null
        this.photoShown = -1
        this.stage = new Stage(moved)
        this.legend = new Legend()
        this.pinned = make('div', { role: 'status' })
        this.pointed = make('div')
        this.readout = make('div', { className: 'sdx-readout', hidden: true }, this.pinned, this.pointed)
        this.badge = make('div', { className: 'sdx-badge', hidden: true })
        this.element = make('div', { className: 'sdx-stage' }, this.stage.canvas, this.readout, this.badge)
    }

    /** Fetch what a run says of itself. @param {import('./data.js').Place} place */
    async open(place) {
        this.close()
        const files = (this.files = new Files(place, this.url)), overview = await files.read('overview')
        if (this.files !== files) return
        this.model = new Model({ ...overview, header: translated(overview.header) })
        this.curves = new Curves(this.model)
    }

    close() {
        this.files?.stop()
        this.decoded?.bitmap.close()
        this.files = this.model = this.curves = this.parts = this.differences = this.decoded = this.frame = this.hovered = null
        this.photoShown = -1
    }

    /**
     * The settings as this map takes them: a range of a schedule with another number of steps is the same share of it.
     * @param {View} view @param {Model} first the map that the settings are for
     */
    view(view, first) {
        const model = /** @type {Model} */ (this.model), share = model.header.steps / first.header.steps
        if (share === 1) return view
        const [start, end] = first.range(view), from = Math.min(model.header.steps - 1, Math.round(start * share))
        return { ...view, start: from, end: Math.max(from + 1, Math.round(end * share)) }
    }

    /**
     * Cells of another map of the same place in the picture.
     * @param {Selection} cells @param {Model} from the map that they are of
     * @returns {Selection}
     */
    cells(cells, { header: { width, height } }) {
        const { header } = /** @type {Model} */ (this.model), across = header.width / width, down = header.height / height
        const first = (/** @type {number} */ cell, /** @type {number} */ share) => Math.floor((cell + (share < 1 ? 0.5 : 0)) * share)
        const last = (/** @type {number} */ cell, /** @type {number} */ share) => Math.max(0, Math.ceil((cell + (share < 1 ? 0.5 : 1)) * share) - 1)
        const [left, top] = [first(cells.left, across), first(cells.top, down)]
        return { left, top, right: Math.max(left, last(cells.right, across)), bottom: Math.max(top, last(cells.bottom, down)) }
    }

    /** @param {View} view @returns {Selection | null} what is pinned, in the first map's cells */
    selection(view) {
        return this.model && readSelection(view.selection, this.model.header.width, this.model.header.height)
    }

    /**
     * Fetch the first thing that the view lacks, null if it lacks nothing.
     * @param {View} view
     * @returns {Promise<void> | null}
     */
    fetch(view) {
        const files = /** @type {Files} */ (this.files), model = /** @type {Model} */ (this.model), { live } = files.place
        if (live && (view.reading !== live.reading || view.view === 'decoded')) throw new Error(TEXTS.later)
        const image = model.image(view), name = model.decodedName(view), picture = `${name}-${image}`
        if (this.parts?.header.reading !== view.reading || this.parts?.header.image !== image)
            return files.read(`${view.reading}-${image}`).then(parts => {
                if (this.files === files) this.parts = parts
            })
        if (this.photoShown !== image)
            return files.picture(`photo-${image}`).then(bitmap => {
                if (this.files !== files) return bitmap.close()
                this.stage.setPhoto(bitmap)
                this.photoShown = image
            })
        if (view.view !== 'decoded') return null
        if (this.differences?.header.image !== image)
            return files.read(`difference-${image}`).then(parts => {
                if (this.files === files) this.differences = parts
            })
        if (files.place.decoded?.includes(name) && this.decoded?.name !== picture)
            return files.picture(`decoded-${picture}`).then(bitmap => {
                if (this.files !== files) return bitmap.close()
                this.decoded?.bitmap.close()
                this.decoded = { name: picture, bitmap }
            })
        return null
    }

    /**
     * @param {View} view
     * @param {Selection | null} selection in this map's cells
     * @param {boolean} numbered whether the strongest places are
     */
    show(view, selection, numbered) {
        const model = /** @type {Model} */ (this.model), { header } = model, frame = /** @type {Frame} */ (this.frame)
        const { look, map } = lookOf(model, view, frame.words.signed)
        const exact = this.decoded?.name === `${model.decodedName(view)}-${model.image(view)}` ? this.decoded.bitmap : null
        const decoding = view.view === 'decoded' && this.differences
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
            selection,
            contours: this.#contours(view),
            marks: numbered ? this.strongest() : [],
        }, fill(TEXTS.picture, { view: VIEWS[view.view] }))
        const decoder = decoding ? decoderWords(model, view, Boolean(exact)) : { badge: '', source: '' }
        this.badge.textContent = decoder.badge
        this.badge.hidden = !decoder.badge
        const line = view.contour > 0 && frame.limit > 0 && !decoding ? contourWords(model, view, frame) : ''
        this.legend.show(model, view, frame, look, map, { decodedBy: decoder.source, line })
        this.read(view, selection)
    }

    /** @param {View} view */
    #contours(view) {
        const { levels, words } = /** @type {Frame} */ (this.frame), { header } = /** @type {Model} */ (this.model)
        if (!(view.contour > 0) || view.view === 'decoded') return []
        const line = (/** @type {number} */ limit) => contour(levels, header.height, header.width, limit)
        return [...line(view.contour), ...(words.signed ? dashed(line(-view.contour)) : [])]
    }

    strongest() {
        const { frame, model } = this
        return frame && model ? strongest(frame.values, model.header.height, model.header.width) : []
    }

    /** Say what is pinned, and what is pointed at. @param {View} view @param {Selection | null} selection */
    read(view, selection) {
        const at = this.hovered, cell = at && { left: at.x, right: at.x, top: at.y, bottom: at.y }
        this.readout.hidden = !cell && !selection
        this.readout.dataset.value = cell || selection ? String(this.sum(view, /** @type {Selection} */ (cell ?? selection)).value) : ''
        const says = [selection, cell].map(cells => (cells ? this.says(view, cells) : ''))
        this.pinned.textContent = says[0]
        this.pointed.textContent = says[1] === says[0] ? '' : says[1]
    }

    /** @param {View} view @param {Selection} cells */
    sum(view, cells) {
        const model = /** @type {Model} */ (this.model)
        return model.within(view, /** @type {Contents} */ (this.parts), cells, ...model.range(view))
    }

    /** @param {View} view @param {Selection} cells */
    value(view, cells) {
        const { value, error, assumed } = this.sum(view, cells)
        return withAssumed(/** @type {Model} */ (this.model), withError(value, error), assumed, value)
    }

    /** @param {View} view @param {Selection} cells */
    says(view, cells) {
        return cellWords(/** @type {Model} */ (this.model), view, cells, this.sum(view, cells))
    }

    remove() {
        this.close()
        this.stage.remove()
        this.element.remove()
        this.legend.element.remove()
    }
}
