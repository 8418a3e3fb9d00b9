// ComfyUI lists a pack's workflows in the order in which they lie on the disc: here the first one to open comes first. The page
// searches their names alone, so each goes on with words that people search; a link with the name it began as opens it, too.

import { app } from '../../scripts/app.js'
import { api } from '../../scripts/api.js'

// the words with which they begin
const ORDER = [
    ...['first_look', 'zebra_or_horse', 'rat_or_mouse', 'sports_car_or_taxi', 'against_empty', 'which_range', 'verdict', 'rivals'],
    ...['sanity_check', 'contact_sheet', 'animation', 'inpaint_by_difference', 'your_classifier', 'shortcut'],
    ...['sd15', 'sdxl', 'sd35', 'flux', 'checkpoint'],
]
const FILE = /^\/workflow_templates\/([^/]+)\/([^/]+)\.json$/

/** @param {string} name @param {string} words */
const begins = (name, words) => `${name}_`.startsWith(`${words}_`)

/** Before all that are not named: sorting keeps those as they are. @param {string} name */
const place = name => {
    const found = ORDER.findIndex(words => begins(name, words))
    return found < 0 ? ORDER.length : found
}

/** Whether these are this pack's, whatever its folder is called. @param {string[]} names */
const isOurs = names => ['first_look', 'inpaint_by_difference'].every(words => names.some(name => begins(name, words)))

/** @type {Record<string, string[]>} this pack's by its folder, once they are listed */
const ours = {}

/** The route to the workflow that a route to its older, shorter name means. @param {string} route */
function current(route) {
    const [, pack, words] = FILE.exec(route) ?? []
    const name = ours[pack]?.find(name => begins(name, words))
    return name ? `/workflow_templates/${pack}/${name}.json` : route
}

app.registerExtension({
    name: 'sdexplain.templates',
    init() {
        const listed = api.getWorkflowTemplates?.bind(api)
        if (!listed) return
        api.getWorkflowTemplates = async () => {
            const packs = await listed()
            for (const [pack, names] of Object.entries(packs))
                if (isOurs(names)) ours[pack] = names.sort((one, other) => place(one) - place(other))
            return packs
        }
        const address = api.apiURL.bind(api)
        api.apiURL = route => address(current(route))
    },
})
