// Reads the files that nodes/maths/files/explorer.py packs; the layout is described there.

const MAGIC = 'SDXP'
const VERSION = 2

/**
 * @typedef {{ header: Record<string, any>, arrays: Record<string, { values: Float32Array | Uint8Array, shape: number[] }> }} Packed
 */

/**
 * Header and arrays of a packed file; the arrays are views on its bytes.
 * @param {ArrayBuffer} buffer
 * @returns {Packed}
 */
export function decode(buffer) {
    const view = new DataView(buffer)
    const magic = buffer.byteLength < 12 ? '' : String.fromCharCode(...new Uint8Array(buffer, 0, 4))
    if (magic !== MAGIC) throw new Error('This is no file of the explorer. Run the workflow again.')
    const version = view.getUint32(4, true)
    if (version !== VERSION) throw new Error(`The explorer's file has version ${version}; this page reads ${VERSION}. Reload the page.`)
    const start = 12 + view.getUint32(8, true)
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 12, start - 12)))
    /** @type {Packed['arrays']} */
    const arrays = {}
    for (const { name, type, shape, offset } of header.arrays) {
        const Kind = type === 'uint8' ? Uint8Array : Float32Array
        const count = shape.reduce((/** @type {number} */ product, /** @type {number} */ size) => product * size, 1)
        arrays[name] = { values: new Kind(buffer, start + offset, count), shape }
    }
    return { header, arrays }
}
