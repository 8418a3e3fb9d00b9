// Where a node's files lie in ComfyUI's temp folder, and their content.

import { read } from './safetensors.js'
import { TEXTS } from './texts.js'

/**
 * @typedef {object} Place
 * @property {string} subfolder
 * @property {string} type
 * @property {string[]} [decoded] the names of the VAE's pictures that are there
 * @property {string} [second] the subfolder of the map beside it
 * @property {number} [removed] how many older runs' data had to go
 * @property {Live} [live] where the run was not at its end
 */
/**
 * @typedef {object} Live
 * @property {number} done how many evaluations there are
 * @property {number} wanted how many there will be at most
 * @property {string} reading the only one that there is
 * @property {number | null} agreement of the map with one of other steps, a correlation
 */

const REMEMBERED = 'sdexplain.explorer'
const MOST_REMEMBERED = 32

/**
 * Keep a node's place in this browser, so that it survives a refresh without getting into saved workflows.
 * @param {string} key
 * @param {Place} place
 */
export function remember(key, place) {
    const others = memories().filter(([known]) => known !== key)
    localStorage.setItem(REMEMBERED, JSON.stringify([[key, place], ...others].slice(0, MOST_REMEMBERED)))
}

/**
 * @param {string} key
 * @returns {Place | undefined}
 */
export function recall(key) {
    return memories().find(([known]) => known === key)?.[1]
}

/** @returns {[string, Place][]} */
function memories() {
    try {
        const known = JSON.parse(localStorage.getItem(REMEMBERED) ?? '[]')
        return Array.isArray(known) ? known : []
    } catch {
        return []
    }
}

/** The files of one run, each fetched when it is first needed. */
export class Files {
    /**
     * @param {Place} place
     * @param {(path: string) => string} url
     */
    constructor(place, url) {
        this.place = place
        this.url = url
        this.stopped = new AbortController()
        /** @type {Map<string, Promise<import('./safetensors.js').Contents>>} */
        this.known = new Map()
    }

    /**
     * @param {string} name without its ending
     * @returns {Promise<import('./safetensors.js').Contents>}
     */
    read(name) {
        const known = this.known.get(name)
        if (known) return known
        const reading = this.#fetch(name)
        this.known.set(name, reading)
        reading.catch(() => this.known.delete(name))
        return reading
    }

    /** @param {string} name */
    async #fetch(name) {
        return read(await (await this.#get(`${name}.safetensors`)).arrayBuffer())
    }

    /** @param {string} name @returns {Promise<ImageBitmap>} */
    async picture(name) {
        return createImageBitmap(await (await this.#get(`${name}.png`)).blob())
    }

    /** @param {string} file */
    async #get(file) {
        const { subfolder, type } = this.place
        const address = this.url(`/view?${new URLSearchParams({ filename: file, subfolder, type })}`)
        const answer = await fetch(address, { signal: this.stopped.signal })
        if (!answer.ok) throw new Error(TEXTS.gone)
        return answer
    }

    stop() {
        this.stopped.abort()
        this.known.clear()
    }
}
