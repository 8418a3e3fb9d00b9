// While a node asks the model it shows the map so far, and ComfyUI's page would go on showing that in place of the node's own picture.

import { app } from '../../scripts/app.js'

/** Take what was shown of a run off a node. The page's store has no public name. @param {any} node */
function forget(node) {
    const store = /** @type {any} */ (app.extensionManager)._p?._s?.get('nodeOutput')
    const place = node.graph && !node.graph.isRootGraph ? `${node.graph.id}:${node.id}` : String(node.id)
    if (store?.revokePreviewsByLocatorId) return store.revokePreviewsByLocatorId(place)
    const shown = /** @type {Record<string, string[]>} */ (app.nodePreviewImages)
    for (const url of shown[place] ?? []) URL.revokeObjectURL(url)
    delete shown[place]
    delete store?.nodePreviewImages?.[place]
}

app.registerExtension({
    name: 'sdexplain.previews',
    nodeCreated(created) {
        const node = /** @type {ComfyNode} */ (created)
        if (!node.comfyClass?.startsWith('SDExplain')) return
        const { onExecuted } = node
        node.onExecuted = function (output) {
            if (output?.images) forget(this)
            onExecuted?.call(this, output)
        }
    },
})
