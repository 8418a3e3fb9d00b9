// The picture with its map: drawing, zoom and pan, and what the pointer points at.

import { paint } from './colours.js'
import { context, make, within } from './dom.js'

const LARGEST = 1024 // pixels of a painted map along one side, however far it is zoomed into

/** @typedef {import('./model.js').Selection} Selection */
/**
 * @typedef {object} Picture
 * @property {Float32Array} levels
 * @property {number} rows
 * @property {number} columns
 * @property {[number, number, number, number]} box top, left, height, width of what the map covers in the photo
 * @property {[number, number]} size height and width of the photo
 * @property {import('./colours.js').Look} look
 * @property {string} view
 * @property {boolean} grey
 * @property {Float32Array | null} decoded [3,cells] from 0 to 1
 * @property {Selection | null} selection
 */

export class Stage {
    /**
     * @param {object} on
     * @param {(cell: { x: number, y: number } | null) => void} on.hover
     * @param {(selection: Selection | null) => void} on.select
     */
    constructor(on) {
        this.on = on
        /** @type {Picture | null} */
        this.picture = null
        /** @type {HTMLCanvasElement | null} */
        this.photo = null
        /** @type {HTMLCanvasElement | null} */
        this.greyPhoto = null
        this.map = document.createElement('canvas')
        /** @type {ImageData | null} */
        this.image = null
        this.zoom = 1
        this.pan = { x: 0, y: 0 }
        this.swipe = 0.5
        /** @type {Selection | null} */
        this.drawn = null
        this.canvas = make('canvas', { className: 'sdx-picture', tabIndex: 0, role: 'img', 'aria-label': 'Heatmap over the picture' })
        this.canvas.addEventListener('pointerdown', event => this.#press(event))
        this.canvas.addEventListener('pointermove', event => this.on.hover(this.cellAt(within(this.canvas, event))))
        this.canvas.addEventListener('pointerleave', () => this.on.hover(null))
        this.canvas.addEventListener('wheel', event => this.#wheel(event), { passive: false })
        this.canvas.addEventListener('dblclick', () => this.reset())
        this.canvas.addEventListener('keydown', event => this.#key(event))
        this.resized = new ResizeObserver(() => this.picture && this.show(this.picture))
        this.resized.observe(this.canvas)
    }

    /** @param {ImageBitmap | null} bitmap */
    setPhoto(bitmap) {
        this.photo = this.greyPhoto = null
        if (!bitmap) return
        const copies = [0, 1].map(() => make('canvas', { width: bitmap.width, height: bitmap.height }))
        ;[this.photo, this.greyPhoto] = copies
        const drawings = copies.map(copy => /** @type {CanvasRenderingContext2D} */ (copy.getContext('2d', { willReadFrequently: true })))
        for (const drawing of drawings) drawing.drawImage(bitmap, 0, 0)
        const image = drawings[1].getImageData(0, 0, bitmap.width, bitmap.height), { data } = image
        for (let i = 0; i < data.length; i += 4) data[i] = data[i + 1] = data[i + 2] = 0.2126 * data[i] + 0.7152 * data[i + 1] + 0.0722 * data[i + 2]
        drawings[1].putImageData(image, 0, 0)
        bitmap.close()
    }

    /** @param {Picture} picture */
    show(picture) {
        this.picture = picture
        this.#paint(picture)
        this.draw()
    }

    reset() {
        this.zoom = 1
        this.pan = { x: 0, y: 0 }
        this.draw()
    }

    /** @param {Picture} picture */
    #paint({ levels, rows, columns, box, look, view, decoded }) {
        const shown = (this.canvas.clientWidth ? this.frames()[0].scale : 1) * (window.devicePixelRatio || 1)
        const shrink = Math.min(shown, LARGEST / Math.max(box[2], box[3])) // no finer than what is seen
        const height = Math.max(1, Math.round(box[2] * shrink)), width = Math.max(1, Math.round(box[3] * shrink))
        if (this.map.width !== width || this.map.height !== height) Object.assign(this.map, { width, height })
        const drawing = /** @type {CanvasRenderingContext2D} */ (this.map.getContext('2d'))
        if (view === 'decoded' && decoded) {
            const small = make('canvas', { width: columns, height: rows }), into = /** @type {CanvasRenderingContext2D} */ (small.getContext('2d'))
            const image = into.createImageData(columns, rows), cells = rows * columns
            for (let i = 0; i < cells; i++) {
                for (let c = 0; c < 3; c++) image.data[4 * i + c] = 255 * decoded[c * cells + i]
                image.data[4 * i + 3] = 255
            }
            into.putImageData(image, 0, 0)
            drawing.imageSmoothingEnabled = look.smooth
            drawing.drawImage(small, 0, 0, width, height)
            return
        }
        const fits = this.image?.width === width && this.image.height === height
        const image = this.image && fits ? this.image : drawing.createImageData(width, height)
        this.image = image
        const solid = view === 'heatmap' || view === 'side by side'
        paint(levels, rows, columns, { ...look, solid }, new Uint32Array(image.data.buffer), width, height)
        drawing.putImageData(image, 0, 0)
    }

    /**
     * Where the photo lies on a canvas of this size; side by side there are two of them.
     * @param {number} width @param {number} height @param {number} zoom @param {{ x: number, y: number }} pan
     */
    frames(width = this.canvas.clientWidth, height = this.canvas.clientHeight, zoom = this.zoom, pan = this.pan) {
        const picture = /** @type {Picture} */ (this.picture)
        const places = picture.view === 'side by side' ? [0, width / 2 + 2] : [0]
        const room = picture.view === 'side by side' ? width / 2 - 2 : width
        const scale = Math.min(room / picture.size[1], height / picture.size[0]) * zoom
        const w = picture.size[1] * scale, h = picture.size[0] * scale
        return places.map(left => ({ left: left + (room - w) / 2 + pan.x, top: (height - h) / 2 + pan.y, width: w, height: h, scale, clip: [left, room] }))
    }

    draw() {
        if (!this.picture || !this.canvas.clientWidth || !this.canvas.clientHeight) return
        const { drawing, width, height } = context(this.canvas)
        this.drawOn(drawing, width, height, this.frames())
    }

    /**
     * @param {CanvasRenderingContext2D} drawing @param {number} width @param {number} height
     * @param {ReturnType<Stage['frames']>} frames
     */
    drawOn(drawing, width, height, frames) {
        const picture = /** @type {Picture} */ (this.picture), { view, box, grey } = picture
        const base = grey && view !== 'side by side' ? this.greyPhoto : this.photo
        frames.forEach((frame, side) => {
            drawing.save()
            drawing.beginPath()
            drawing.rect(frame.clip[0], 0, frame.clip[1], height)
            drawing.clip()
            drawing.imageSmoothingQuality = 'high'
            const photo = view === 'side by side' || view === 'swipe' ? this.photo : base
            const alone = view === 'heatmap' || view === 'decoded' || (view === 'side by side' && side === 1)
            if (photo && !alone) drawing.drawImage(photo, frame.left, frame.top, frame.width, frame.height)
            if (view === 'swipe') {
                drawing.beginPath()
                drawing.rect(0, 0, width * this.swipe, height)
                drawing.clip()
                if (base) drawing.drawImage(base, frame.left, frame.top, frame.width, frame.height)
            }
            if (!(view === 'side by side' && side === 0)) {
                const [top, left, tall, wide] = box.map(value => value * frame.scale)
                drawing.drawImage(this.map, frame.left + left, frame.top + top, wide, tall)
            }
            drawing.restore()
            const marked = this.drawn ?? picture.selection
            if (marked) this.#mark(drawing, frame, marked)
        })
        if (view === 'swipe') {
            drawing.fillStyle = '#ffffff'
            drawing.strokeStyle = '#16181d'
            drawing.beginPath()
            drawing.rect(width * this.swipe - 1.5, 0, 3, height)
            drawing.fill()
            drawing.stroke()
        }
    }

    /** @param {CanvasRenderingContext2D} drawing @param {{ left: number, top: number, scale: number }} frame @param {Selection} marked */
    #mark(drawing, frame, marked) {
        const { box, rows, columns } = /** @type {Picture} */ (this.picture)
        const wide = (box[3] / columns) * frame.scale, tall = (box[2] / rows) * frame.scale
        const left = frame.left + box[1] * frame.scale + marked.left * wide, top = frame.top + box[0] * frame.scale + marked.top * tall
        for (const [colour, thick] of /** @type {[string, number][]} */ ([['#16181d', 4], ['#ffffff', 2]])) {
            drawing.strokeStyle = colour
            drawing.lineWidth = thick
            drawing.strokeRect(left, top, (marked.right - marked.left + 1) * wide, (marked.bottom - marked.top + 1) * tall)
        }
    }

    /** The latent cell at a point of the canvas, null outside. @param {{ x: number, y: number }} point */
    cellAt(point) {
        if (!this.picture || !this.canvas.clientWidth) return null
        const { box, rows, columns } = this.picture
        for (const frame of this.frames()) {
            if (point.x < frame.clip[0] || point.x > frame.clip[0] + frame.clip[1]) continue
            const x = Math.floor((((point.x - frame.left) / frame.scale - box[1]) / box[3]) * columns)
            const y = Math.floor((((point.y - frame.top) / frame.scale - box[0]) / box[2]) * rows)
            if (x >= 0 && y >= 0 && x < columns && y < rows) return { x, y }
        }
        return null
    }

    /** Click pins, drag draws a box, with Shift or the middle button it pans; on the divider it swipes. @param {PointerEvent} event */
    #press(event) {
        if (!this.picture || event.button === 2) return
        event.preventDefault()
        event.stopPropagation()
        this.canvas.focus({ preventScroll: true })
        const first = within(this.canvas, event), from = this.cellAt(first), pan = { ...this.pan }
        const swiping = this.picture.view === 'swipe' && Math.abs(first.x - this.swipe * this.canvas.clientWidth) < 12
        const panning = !swiping && (event.shiftKey || event.button === 1)
        const move = (/** @type {PointerEvent} */ now) => {
            const at = within(this.canvas, now), to = this.cellAt(at)
            if (swiping) this.swipe = Math.max(0, Math.min(1, at.x / this.canvas.clientWidth))
            else if (panning) this.pan = { x: pan.x + at.x - first.x, y: pan.y + at.y - first.y }
            else if (from && to) this.drawn = { left: Math.min(from.x, to.x), right: Math.max(from.x, to.x), top: Math.min(from.y, to.y), bottom: Math.max(from.y, to.y) }
            this.draw()
        }
        const stop = () => {
            for (const name of ['pointerup', 'pointercancel']) this.canvas.removeEventListener(name, stop)
            this.canvas.removeEventListener('pointermove', move)
            if (swiping || panning) return
            const drawn = this.drawn ?? (from && { left: from.x, right: from.x, top: from.y, bottom: from.y })
            this.drawn = null
            const old = this.picture?.selection
            this.on.select(drawn && old && ['left', 'right', 'top', 'bottom'].every(side => drawn[/** @type {keyof Selection} */ (side)] === old[/** @type {keyof Selection} */ (side)]) ? null : drawn)
        }
        try {
            this.canvas.setPointerCapture(event.pointerId)
        } catch {
            // a pointer that is gone already
        }
        this.canvas.addEventListener('pointermove', move)
        for (const name of ['pointerup', 'pointercancel']) this.canvas.addEventListener(name, stop)
    }

    /** @param {WheelEvent} event */
    #wheel(event) {
        if (!this.picture || (!event.ctrlKey && !event.shiftKey && document.activeElement !== this.canvas)) return // the graph's own zoom
        event.preventDefault()
        event.stopPropagation()
        const at = within(this.canvas, event)
        this.zoomBy(Math.exp(-(event.deltaY || event.deltaX) / 400), at.x, at.y)
    }

    /** @param {number} factor @param {number} x @param {number} y */
    zoomBy(factor, x = this.canvas.clientWidth / 2, y = this.canvas.clientHeight / 2) {
        const zoom = Math.max(1, Math.min(16, this.zoom * factor)), change = zoom / this.zoom
        const centre = { x: this.canvas.clientWidth / 2, y: this.canvas.clientHeight / 2 }
        this.pan = { x: (this.pan.x - (x - centre.x)) * change + (x - centre.x), y: (this.pan.y - (y - centre.y)) * change + (y - centre.y) }
        this.zoom = zoom
        if (zoom === 1) this.pan = { x: 0, y: 0 }
        if (this.picture) this.show(this.picture)
    }

    /** Arrows move the pin, + and - zoom, Escape unpins. @param {KeyboardEvent} event */
    #key(event) {
        const picture = this.picture
        if (!picture) return
        const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }
        const by = moves[/** @type {keyof typeof moves} */ (event.key)]
        if (by) {
            const old = picture.selection
            const x = Math.max(0, Math.min(picture.columns - 1, old ? old.left + by[0] : picture.columns >> 1))
            const y = Math.max(0, Math.min(picture.rows - 1, old ? old.top + by[1] : picture.rows >> 1))
            this.on.select({ left: x, right: x, top: y, bottom: y })
        } else if (event.key === 'Escape') this.on.select(null)
        else if (event.key === '+' || event.key === '=') this.zoomBy(1.25)
        else if (event.key === '-') this.zoomBy(0.8)
        else if (event.key === '0') this.reset()
        else return
        event.preventDefault()
        event.stopPropagation()
    }

    remove() {
        this.resized.disconnect()
        for (const canvas of [this.photo, this.greyPhoto, this.map]) if (canvas) canvas.width = canvas.height = 0
    }
}
