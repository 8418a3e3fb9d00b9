// Small makers of page elements. Texts are set as text only: labels are other people's.

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, any>} [settings] properties; aria-… and role become attributes
 * @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, settings = {}, ...children) {
    const element = document.createElement(tag)
    for (const [name, value] of Object.entries(settings)) {
        if (name.startsWith('aria-') || name === 'role') element.setAttribute(name, value)
        else Object.assign(element, { [name]: value })
    }
    element.append(...children)
    return element
}

/**
 * A canvas as sharp as the screen is, and its context in CSS pixels. Zoomed graphs make it no sharper.
 * @param {HTMLCanvasElement} canvas
 */
export function context(canvas) {
    const density = window.devicePixelRatio || 1
    const width = canvas.clientWidth, height = canvas.clientHeight
    const inner = [Math.round(width * density), Math.round(height * density)]
    if (canvas.width !== inner[0] || canvas.height !== inner[1]) Object.assign(canvas, { width: inner[0], height: inner[1] })
    const drawing = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'))
    drawing.setTransform(density, 0, 0, density, 0, 0)
    drawing.clearRect(0, 0, width, height)
    return { drawing, width, height }
}

/**
 * Where a pointer is within an element, in its own CSS pixels: the graph scales what it shows.
 * @param {HTMLElement} element
 * @param {{ clientX: number, clientY: number }} event
 */
export function within(element, event) {
    const box = element.getBoundingClientRect()
    return {
        x: ((event.clientX - box.left) * element.clientWidth) / (box.width || 1),
        y: ((event.clientY - box.top) * element.clientHeight) / (box.height || 1),
    }
}

/** @param {string} text @param {string} says @param {() => void} does */
export function button(text, says, does) {
    return make('button', { type: 'button', className: 'sdx-button', textContent: text, title: says, 'aria-label': says, onclick: does })
}
