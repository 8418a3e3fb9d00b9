// A page older than App mode opens an app as an unfinished form, in which the notes lie over the questions: there it is a graph.

import { app } from '../../scripts/app.js'

const [first, second] = String(/** @type {any} */ (window).__COMFYUI_FRONTEND_VERSION__ ?? '').split('.').map(Number)
const UNFINISHED = first === 1 && second < 40

app.registerExtension({
    name: 'sdexplain.app_mode',
    beforeConfigureGraph(/** @type {any} */ graph) {
        const ours = graph.nodes?.some((/** @type {any} */ node) => node.type?.startsWith('SDExplain'))
        if (UNFINISHED && ours && graph.extra) delete graph.extra.linearMode
    },
})
