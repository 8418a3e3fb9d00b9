// The picture with its map: drawing it at a zoom and a pan, and which cell lies where.

import { paint } from './colours.js'
import { context, make } from './dom.js'

/** @typedef {{ x: number, y: number }} Point */
const DARK = '#16181d', LIGHT = '#ffffff'
const DARKEST = 0.25 * 255 // a grey picture is brightened until its brightest place is white, but a darker one than this no further
const LARGEST = 1024 // pixels of a painted map along one side, however far it is zoomed into

/** @typedef {import('./model.js').Selection} Selection */
/** @typedef {{ left: number, top: number, width: number, height: number, scale: number, clip: number[] }} Frame where the photo lies, and what it may cover */
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
 * @property {Float32Array | ImageBitmap | null} decoded what the sum's colours are: of each cell, [3,cells] from 0 to 1, or the VAE's picture
 * @property {Selection | null} selection
 * @property {number[][]} contours lines in cells, see contour.js
 * @property {Point[]} marks cells that are numbered
 */

export class Stage {
    /** @param {() => void} moved the picture was zoomed, panned or swiped */
    constructor(moved) {
        this.moved = moved
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
        /** @type {Point | null} the cell that is pointed at, on this map or on the one beside it */
        this.pointed = null
        this.canvas = make('canvas', { className: 'sdx-picture', tabIndex: 0, role: 'img' })
        this.resized = new ResizeObserver(() => this.picture && this.#render())
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
        const greys = new Float32Array(data.length / 4)
        let brightest = DARKEST
        for (let i = 0; i < greys.length; i++) {
            greys[i] = 0.2126 * data[4 * i] + 0.7152 * data[4 * i + 1] + 0.0722 * data[4 * i + 2]
            brightest = Math.max(brightest, greys[i])
        }
        for (let i = 0; i < greys.length; i++) data[4 * i] = data[4 * i + 1] = data[4 * i + 2] = (255 * greys[i]) / brightest
        drawings[1].putImageData(image, 0, 0)
        bitmap.close()
    }

    /** @param {Picture} picture @param {string} says what it is, in words */
    show(picture, says) {
        this.picture = picture
        this.canvas.setAttribute('aria-label', says)
        this.#render()
    }

    #render() {
        const density = (this.canvas.clientWidth ? this.frames()[0].scale : 1) * (window.devicePixelRatio || 1)
        this.#paint(this.map, density) // no finer than what is seen
        this.draw()
    }

    reset() {
        this.zoom = 1
        this.pan = { x: 0, y: 0 }
        this.draw()
        this.moved()
    }

    /** Look where another map of the same size looks. @param {Stage} other */
    follow({ zoom, pan, swipe }) {
        const zoomed = zoom !== this.zoom
        Object.assign(this, { zoom, pan, swipe })
        if (zoomed && this.picture) this.#render()
        else this.draw()
    }

    /** @param {Point | null} cell */
    point(cell) {
        this.pointed = cell
        this.draw()
    }

    /** Paint the map by itself, so many pixels for each of the photo's. @param {HTMLCanvasElement} map @param {number} density */
    #paint(map, density) {
        const { levels, rows, columns, box, look, view, decoded } = /** @type {Picture} */ (this.picture)
        const shrink = Math.min(density, LARGEST / Math.max(box[2], box[3]))
        const height = Math.max(1, Math.round(box[2] * shrink)), width = Math.max(1, Math.round(box[3] * shrink))
        if (map.width !== width || map.height !== height) Object.assign(map, { width, height })
        const drawing = /** @type {CanvasRenderingContext2D} */ (map.getContext('2d'))
        if (view === 'decoded' && decoded) {
            const vae = decoded instanceof ImageBitmap
            drawing.imageSmoothingEnabled = vae || look.smooth
            drawing.imageSmoothingQuality = 'high'
            drawing.drawImage(vae ? decoded : colouredCells(decoded, rows, columns), 0, 0, width, height)
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
     * What is shown, unzoomed and as fine as the size allows: pixels, and the lines over them.
     * @param {number} width @param {number} height
     */
    sheet(width, height) {
        const frames = this.frames(width, height, 1, { x: 0, y: 0 }), map = make('canvas'), pixels = make('canvas', { width, height })
        this.#paint(map, frames[0].scale)
        this.#drawMap(/** @type {CanvasRenderingContext2D} */ (pixels.getContext('2d')), width, height, frames, map)
        const { contours, selection, marks } = /** @type {Picture} */ (this.picture)
        return frames.filter((_, i) => this.#mapped(i)).map(frame => ({
            pixels,
            frame,
            contours: contours.map(line => this.#at(frame, line)),
            box: selection && this.#placeOf(frame, selection),
            marks: marks.map(mark => this.#middle(frame, mark)),
        }))
    }

    /**
     * Where the photo lies on a canvas of this size; side by side there are two of them.
     * @param {number} width @param {number} height @param {number} zoom @param {{ x: number, y: number }} pan
     * @returns {Frame[]}
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
        const frames = this.frames()
        this.#drawMap(drawing, width, height, frames, this.map)
        frames.forEach((frame, i) => this.#drawMarks(drawing, frame, this.#mapped(i)))
    }

    /** Whether the map lies on this part of what is shown. @param {number} side */
    #mapped(side) {
        return this.picture?.view !== 'side by side' || side === 1
    }

    /**
     * @param {CanvasRenderingContext2D} drawing @param {number} width @param {number} height
     * @param {Frame[]} frames @param {HTMLCanvasElement} map
     */
    #drawMap(drawing, width, height, frames, map) {
        const picture = /** @type {Picture} */ (this.picture), { view, box, grey, look } = picture
        const base = grey && view !== 'side by side' ? this.greyPhoto : this.photo
        frames.forEach((frame, side) => {
            drawing.save()
            drawing.beginPath()
            drawing.rect(frame.clip[0], 0, frame.clip[1], height)
            drawing.clip()
            drawing.imageSmoothingQuality = 'high'
            const photo = view === 'side by side' || view === 'swipe' ? this.photo : base
            const alone = view === 'heatmap' || view === 'decoded' || (view === 'side by side' && side === 1)
            if (photo && !alone) drawPhoto(drawing, photo, frame, photo === this.greyPhoto ? look.ground : [0, 1])
            if (view === 'swipe') {
                drawing.beginPath()
                drawing.rect(0, 0, width * this.swipe, height)
                drawing.clip()
                if (base) drawPhoto(drawing, base, frame, look.ground)
            }
            if (!(view === 'side by side' && side === 0)) {
                const [top, left, tall, wide] = box.map(value => value * frame.scale)
                drawing.drawImage(map, frame.left + left, frame.top + top, wide, tall)
            }
            drawing.restore()
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

    /** Lines, box and numbers. @param {CanvasRenderingContext2D} drawing @param {Frame} frame @param {boolean} mapped whether the map lies here */
    #drawMarks(drawing, frame, mapped) {
        const { selection, contours, marks } = /** @type {Picture} */ (this.picture), box = this.drawn ?? selection
        drawing.save()
        drawing.beginPath()
        drawing.rect(frame.clip[0], 0, frame.clip[1], this.canvas.clientHeight)
        drawing.clip()
        if (mapped) stroke(drawing, contours.map(line => this.#at(frame, line)))
        const { pointed } = this, cell = pointed && { left: pointed.x, right: pointed.x, top: pointed.y, bottom: pointed.y }
        for (const [cells, thick] of /** @type {[Selection | null, number][]} */ ([[cell, 1], [box, 2]])) {
            if (!cells) continue
            const { left, top, width, height } = this.#placeOf(frame, cells)
            for (const [colour, more] of /** @type {[string, number][]} */ ([[DARK, 2], [LIGHT, 0]])) {
                drawing.strokeStyle = colour
                drawing.lineWidth = thick + more
                drawing.strokeRect(left, top, width, height)
            }
        }
        if (mapped) marks.forEach((mark, i) => number(drawing, this.#middle(frame, mark), i + 1))
        drawing.restore()
    }

    /** Points in cells, [x, y, x, y], on the canvas. @param {Frame} frame @param {number[]} line */
    #at(frame, line) {
        const { box, rows, columns } = /** @type {Picture} */ (this.picture)
        return line.map((value, i) => i % 2
            ? frame.top + (box[0] + (value * box[2]) / rows) * frame.scale
            : frame.left + (box[1] + (value * box[3]) / columns) * frame.scale)
    }

    /** @param {Frame} frame @param {Point} cell */
    #middle(frame, { x, y }) {
        const [left, top] = this.#at(frame, [x + 0.5, y + 0.5])
        return { x: left, y: top }
    }

    /** Where cells lie on the canvas. @param {Frame} frame @param {Selection} cells */
    #placeOf(frame, cells) {
        const { box, rows, columns } = /** @type {Picture} */ (this.picture)
        const width = (box[3] / columns) * frame.scale, height = (box[2] / rows) * frame.scale
        return {
            left: frame.left + box[1] * frame.scale + cells.left * width,
            top: frame.top + box[0] * frame.scale + cells.top * height,
            width: (cells.right - cells.left + 1) * width,
            height: (cells.bottom - cells.top + 1) * height,
        }
    }

    /** @param {Selection} cells */
    centreOf(cells) {
        const { left, top, width, height } = this.#placeOf(this.frames()[0], cells)
        return { x: left + width / 2, y: top + height / 2 }
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

    /** @param {number} factor @param {number} x @param {number} y */
    zoomBy(factor, x = this.canvas.clientWidth / 2, y = this.canvas.clientHeight / 2) {
        const zoom = Math.max(1, Math.min(16, this.zoom * factor)), change = zoom / this.zoom
        const centre = { x: this.canvas.clientWidth / 2, y: this.canvas.clientHeight / 2 }
        this.pan = { x: (this.pan.x - (x - centre.x)) * change + (x - centre.x), y: (this.pan.y - (y - centre.y)) * change + (y - centre.y) }
        this.zoom = zoom
        if (zoom === 1) this.pan = { x: 0, y: 0 }
        if (this.picture) this.#render()
        this.moved()
    }

    /** Where the divider stands, from 0 to 1. @param {number} share */
    swipeTo(share) {
        this.swipe = Math.max(0, Math.min(1, share))
        this.draw()
        this.moved()
    }

    /** A box that is being drawn. @param {Selection | null} box */
    markBox(box) {
        this.drawn = box
        this.draw()
    }

    /** @param {number} x @param {number} y */
    panTo(x, y) {
        this.pan = { x, y }
        this.draw()
        this.moved()
    }

    remove() {
        this.resized.disconnect()
        for (const canvas of [this.photo, this.greyPhoto, this.map]) if (canvas) canvas.width = canvas.height = 0
    }
}

/**
 * The photo where it lies, its black and white as these greys from 0 to 1.
 * @param {CanvasRenderingContext2D} drawing @param {HTMLCanvasElement} photo @param {Frame} frame @param {number[]} ground
 */
function drawPhoto(drawing, photo, { left, top, width, height }, [black, white]) {
    drawing.drawImage(photo, left, top, width, height)
    const veil = 1 - white + black, grey = Math.round((255 * black) / (veil || 1))
    drawing.fillStyle = `rgb(${grey} ${grey} ${grey} / ${veil})`
    drawing.fillRect(left, top, width, height)
}

/** Colours [3,cells] from 0 to 1 as a picture of a pixel for each cell. @param {Float32Array} colours @param {number} rows @param {number} columns */
function colouredCells(colours, rows, columns) {
    const small = make('canvas', { width: columns, height: rows }), into = /** @type {CanvasRenderingContext2D} */ (small.getContext('2d'))
    const image = into.createImageData(columns, rows), cells = rows * columns
    for (let i = 0; i < cells; i++) {
        for (let c = 0; c < 3; c++) image.data[4 * i + c] = 255 * colours[c * cells + i]
        image.data[4 * i + 3] = 255
    }
    into.putImageData(image, 0, 0)
    return small
}

/** White lines with a dark edge, which are seen on every picture. @param {CanvasRenderingContext2D} drawing @param {number[][]} lines */
function stroke(drawing, lines) {
    drawing.lineCap = 'round'
    for (const [colour, thick] of /** @type {[string, number][]} */ ([[DARK, 3], [LIGHT, 1.25]])) {
        drawing.strokeStyle = colour
        drawing.lineWidth = thick
        drawing.beginPath()
        for (const [x, y, toX, toY] of lines) {
            drawing.moveTo(x, y)
            drawing.lineTo(toX, toY)
        }
        drawing.stroke()
    }
}

/** @param {CanvasRenderingContext2D} drawing @param {Point} at @param {number} which */
function number(drawing, { x, y }, which) {
    drawing.beginPath()
    drawing.arc(x, y, 9, 0, 2 * Math.PI)
    drawing.fillStyle = DARK
    drawing.fill()
    drawing.strokeStyle = LIGHT
    drawing.lineWidth = 1.5
    drawing.stroke()
    drawing.fillStyle = LIGHT
    drawing.font = '600 11px system-ui, sans-serif'
    drawing.textAlign = 'center'
    drawing.textBaseline = 'middle'
    drawing.fillText(String(which), x, y + 0.5)
}
