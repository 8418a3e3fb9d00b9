// ComfyUI lists a pack's workflows in the order in which they lie on the disc: here the first one to open comes first.

import { app } from '../../scripts/app.js'
import { api } from '../../scripts/api.js'

const ORDER = [
    ...['first_look', 'zebra_or_horse', 'rat_or_mouse', 'sports_car_or_taxi', 'against_empty', 'which_range', 'verdict', 'rivals'],
    ...['sanity_check', 'contact_sheet', 'animation', 'inpaint_by_difference', 'your_classifier', 'shortcut'],
    ...['sd15', 'sdxl', 'sd35', 'flux', 'checkpoint'],
]

/** Before all that are not named: sorting keeps those as they are. @param {string} name */
const place = name => (ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length)

/** Whether these are this pack's, whatever its folder is called. @param {string[]} names */
const isOurs = names => names.includes('first_look') && names.includes('inpaint_by_difference')

app.registerExtension({
    name: 'sdexplain.templates',
    init() {
        const listed = api.getWorkflowTemplates?.bind(api)
        if (!listed) return
        api.getWorkflowTemplates = async () => {
            const packs = await listed()
            for (const names of Object.values(packs)) if (isOurs(names)) names.sort((one, other) => place(one) - place(other))
            return packs
        }
    },
})
