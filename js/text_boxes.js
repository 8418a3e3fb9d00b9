// A node that shows a picture below a box for several lines: the page gives the box all the height that is left, and the picture none.

import { app } from '../../scripts/app.js'

const NODES = ['SDExplainRivals', 'SDExplainMapSheet']
const HEIGHT = 96
/** Pixels by which Nodes 2.0 makes such a node higher once it has a picture. */
const ADDED = 232

// Nodes 2.0 sets the heights by itself, and marks a node by its widgets alone
const STYLE = `
.lg-node:is(:has([data-widget-name='labels']):has([data-widget-name='stop_early']),
    :has([data-widget-name='names']):has([data-widget-name='share'])) {
    .lg-node-widgets { flex: none !important; }
    .lg-node-widgets textarea { height: ${HEIGHT}px; }
    .lg-node-widgets ~ .shrink-0:has(.image-preview) { flex: 1 1 auto; }
    &:has(.lg-node-widgets ~ .shrink-0 .image-preview) { min-height: calc(var(--node-height) - ${ADDED}px); }
}`

app.registerExtension({
    name: 'sdexplain.textBoxes',
    init() {
        const style = document.createElement('style')
        style.textContent = STYLE
        document.head.append(style)
    },
    nodeCreated(created) {
        const node = /** @type {ComfyNode} */ (created)
        if (!NODES.includes(node.comfyClass ?? '')) return
        for (const widget of node.widgets ?? [])
            if (widget.type === 'customtext') Object.assign(widget.options, { getMinHeight: () => HEIGHT, getMaxHeight: () => HEIGHT })
    },
})
