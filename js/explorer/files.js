// What is exported: PNG with words embedded, and arrays in numpy's format.

/** CRC-32 as PNG has it. @param {Uint8Array} bytes */
export function crc32(bytes) {
    let crc = 0xffffffff
    for (const byte of bytes) {
        crc ^= byte
        for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
    }
    return ~crc >>> 0
}

/**
 * A PNG with a JSON text before its end, as tEXt: other characters than ASCII are escaped, and ComfyUI's page reads it.
 * @param {Uint8Array} png
 * @param {string} keyword Latin letters
 * @param {string} json
 */
export function withText(png, keyword, json) {
    const ascii = json.replaceAll(/[\u0080-\uffff]/g, letter => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`)
    const content = new TextEncoder().encode(`tEXt${keyword}\0${ascii}`)
    const chunk = new Uint8Array(content.length + 8), view = new DataView(chunk.buffer)
    view.setUint32(0, content.length - 4)
    chunk.set(content, 4)
    view.setUint32(4 + content.length, crc32(content))
    const end = png.length - 12 // the IEND chunk
    const joined = new Uint8Array(png.length + chunk.length)
    joined.set(png.subarray(0, end))
    joined.set(chunk, end)
    joined.set(png.subarray(end), end + chunk.length)
    return joined
}

/**
 * A float32 array in numpy's format 1.0.
 * @param {Float32Array} values
 * @param {number[]} shape
 */
export function npy(values, shape) {
    const words = `{'descr': '<f4', 'fortran_order': False, 'shape': (${shape.join(', ')},), }`
    const text = `${words.padEnd(Math.ceil((words.length + 11) / 64) * 64 - 11)}\n`
    const file = new Uint8Array(10 + text.length + 4 * values.length), view = new DataView(file.buffer)
    file.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0])
    view.setUint16(8, text.length, true)
    file.set(new TextEncoder().encode(text), 10)
    values.forEach((value, i) => view.setFloat32(10 + text.length + 4 * i, value, true))
    return file
}

/** @param {Uint8Array} bytes @param {string} name @param {string} type */
export function download(bytes, name, type) {
    const link = document.createElement('a')
    link.href = URL.createObjectURL(new Blob([/** @type {BlobPart} */ (bytes)], { type }))
    link.download = name
    link.click()
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000)
}
