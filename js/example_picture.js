// A new Example Picture keeps its scene: otherwise every Run would draw another one and ask the model again.

import { app } from '../../scripts/app.js'

app.registerExtension({
    name: 'sdexplain.example_picture',
    nodeCreated(node) {
        if (node.comfyClass !== 'SDExplainExamplePicture') return
        const control = node.widgets?.find(widget => widget.name === 'control_after_generate')
        if (control) control.value = 'fixed' // what a saved workflow says comes after this
    },
})
