// Reads the files that nodes/maths/files/explorer.py makes: safetensors, with everything but the arrays as JSON in the metadata.

import { TEXTS } from './texts.js'
import { fill } from './words.js'

const FORMAT = 'SDExplain explorer'
const VERSION = '4'
const KINDS = { F32: Float32Array, U8: Uint8Array }

/**
 * @typedef {{ header: Record<string, any>, arrays: Record<string, { values: Float32Array | Uint8Array, shape: number[] }> }} Contents
 */

/**
 * What a file holds. The arrays are views on its bytes: its data begin at a multiple of 8 bytes, and float32 comes first.
 * @param {ArrayBuffer} buffer
 * @returns {Contents}
 */
export function read(buffer) {
    const { start, entries } = split(buffer), { __metadata__: metadata, ...listed } = entries
    if (metadata?.format !== FORMAT) throw new Error(TEXTS.foreign)
    if (metadata.version !== VERSION) throw new Error(fill(TEXTS.version, { version: metadata.version, expected: VERSION }))
    /** @type {Contents['arrays']} */
    const arrays = {}
    for (const [name, { dtype, shape, data_offsets: [from, to] }] of Object.entries(listed)) {
        const Kind = KINDS[/** @type {keyof typeof KINDS} */ (dtype)]
        arrays[name] = { values: new Kind(buffer, start + from, (to - from) / Kind.BYTES_PER_ELEMENT), shape }
    }
    return { header: JSON.parse(metadata.header), arrays }
}

/**
 * Where the data begin, and what the JSON before them lists: 8 bytes tell its length, lowest byte first.
 * @param {ArrayBuffer} buffer
 * @returns {{ start: number, entries: Record<string, any> }}
 */
function split(buffer) {
    try {
        const start = 8 + Number(new DataView(buffer).getBigUint64(0, true))
        return { start, entries: JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, start - 8))) }
    } catch {
        throw new Error(TEXTS.foreign)
    }
}
