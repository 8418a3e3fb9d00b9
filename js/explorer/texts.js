// The page's words in its language. They are written in Python, nodes/maths/files/explorer_words.py; ComfyUI serves them from locales/.

import { fill } from './words.js'

/**
 * @typedef {object} Words what locales/<language>/main.json has for the Explorer
 * @property {Record<string, string>} texts
 * @property {Record<string, string>} views what the picture is, by view
 * @property {Record<string, { name: string, says?: string, row?: string, unit?: string }>} fields
 * @property {Record<string, string>} options options of fields that have another name on the page
 * @property {Record<string, string>} sentences
 * @property {Record<string, Record<string, string>>} meanings of what a reading's numbers are
 * @property {Record<string, string>} units
 * @property {Record<string, string>} colours
 */

/** @type {Words} */
const NONE = { texts: {}, views: {}, fields: {}, options: {}, sentences: {}, meanings: {}, units: {}, colours: {} }
/** @type {Record<string, Words>} by language */
let known = {}
let english = NONE, words = NONE

/** @type {Record<string, string>} */
export const TEXTS = {}
/** @type {Words['views']} */
export const VIEWS = {}
/** @type {Words['fields']} */
export const FIELDS = {}
/** @type {Words['options']} */
export const OPTIONS = {}
/** @type {Record<string, string>} what the node's inputs are for, by name */
export const TOOLTIPS = {}
/** @typedef {{ nodeDefs?: Record<string, { inputs: Record<string, { tooltip?: string }> }> }} Definitions texts of nodes, by node */
/** @type {Record<string, Record<string, string>>} the same, by language */
let tooltips = {}

/** @param {Record<string, { sdexplain?: Words } & Definitions>} served all packs' texts, by language */
export function learn(served) {
    tooltips = Object.fromEntries(Object.entries(served).map(([language, texts]) => [language, tooltipsOf(texts)]))
    known = Object.fromEntries(Object.entries(served).map(([language, texts]) => [language, { ...NONE, ...texts.sdexplain }]))
    english = known.en ?? NONE
    speak('en')
}

/** Panels that are made from now on speak this language, or English where there are no words in it. @param {string} language */
export function speak(language) {
    words = known[language] ?? known[language.split('-')[0]] ?? english
    Object.assign(TEXTS, english.texts, words.texts)
    Object.assign(VIEWS, english.views, words.views)
    Object.assign(FIELDS, english.fields, words.fields)
    Object.assign(OPTIONS, english.options, words.options)
    Object.assign(TOOLTIPS, tooltips.en, tooltips[language] ?? tooltips[language.split('-')[0]])
}

/** @param {Definitions} texts whose signs with a meaning in vue-i18n are escaped, as {'@'} */
function tooltipsOf({ nodeDefs = {} }) {
    const inputs = Object.entries(nodeDefs.SDExplainExplore?.inputs ?? {})
    return Object.fromEntries(inputs.map(([name, { tooltip = '' }]) => [name, tooltip.replaceAll(/\{'(.)'\}/g, '$1')]))
}

/**
 * What came with the data in English, in the page's language. What it has no words for stays as it came.
 * @param {Record<string, any>} header of an overview
 * @returns {Record<string, any>}
 */
export function translated(header) {
    if (words === english) return header
    const named = (/** @type {string} */ label) => (label === english.sentences.unnamed ? words.sentences.unnamed : label)
    const [target, contrast] = header.short, short = header.short.map(named)
    const said = (/** @type {string} */ text, /** @type {string[]} */ labels) =>
        fill(text.replaceAll(/“({\w+})”/g, '$1'), { target: labels[0], contrast: labels[1] })
    const same = (/** @type {string} */ text, /** @type {string | undefined} */ ours, /** @type {string | undefined} */ theirs) =>
        ours !== undefined && theirs !== undefined && said(ours, [target, contrast]) === text ? said(theirs, short) : text
    const sentence = (/** @type {[string, string]} */ [name, text]) =>
        [name, english.sentences[name] === text ? (words.sentences[name] ?? text) : text]
    const meaning = (/** @type {Record<string, any>} */ entry) => {
        const name = entry.reading === 'difference' ? `difference, ${entry.scalar}` : entry.reading, changed = { ...entry }
        for (const part of ['positive', 'negative', 'quantity', 'noun']) changed[part] = same(entry[part], english.meanings[name]?.[part], words.meanings[name]?.[part])
        for (const part of ['unit', 'summed_unit']) changed[part] = words.units[entry[part]] ?? entry[part]
        return changed
    }
    return {
        ...header,
        short,
        sentences: Object.fromEntries(Object.entries(header.sentences).map(sentence)),
        words: header.words.map(meaning),
        maps: header.maps.map((/** @type {any} */ map) => ({ ...map, ends: map.ends.map((/** @type {string} */ colour) => words.colours[colour] ?? colour) })),
    }
}
