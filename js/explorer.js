// Puts the explorer on its node, in both of ComfyUI's renderers.

import { app } from '../../scripts/app.js'
import { api } from '../../scripts/api.js'
import { choiceAbove } from './explorer/asking.js'
import { recall, remember } from './explorer/data.js'
import { Panel } from './explorer/panel.js'
import { TEXTS, learn, speak } from './explorer/texts.js'
import { fill } from './explorer/words.js'

const NODE = 'SDExplainExplore'
const NEEDED = ['image', 'predictions']
const SIZE = [520, 680]
const LEAST_WIDTH = 440
const LEAST_HEIGHT = 460

/** @typedef {import('./explorer/model.js').View} View */

/** Where a node's data are remembered: the same node of the same workflow finds them again. @param {ComfyNode} node */
const key = node => [app.graph?.id, node.graph?.id, node.id].join(':')

/**
 * The widgets as the panel's settings. They stay what is saved, run and undone; the panel is only their face.
 * @param {ComfyNode} node
 * @returns {import('./explorer/panel.js').Settings}
 */
function settings(node) {
    const widgets = () => node.widgets.filter(widget => widget.name !== 'explorer')
    return {
        read: () => /** @type {any} */ (Object.fromEntries(widgets().map(widget => [widget.name, widget.value]))),
        write(changes) {
            for (const widget of widgets()) {
                if (!(widget.name in changes) || widget.value === changes[/** @type {keyof View} */ (widget.name)]) continue
                widget.value = changes[/** @type {keyof View} */ (widget.name)]
                widget.callback?.(widget.value)
            }
            app.extensionManager.workflow?.activeWorkflow?.changeTracker?.checkState()
        },
        options: name => /** @type {string[]} */ (widgets().find(widget => widget.name === name)?.options.values ?? []),
        url: path => api.apiURL(path),
        missing: () => NEEDED.filter(name => node.inputs.some((input, slot) => input.name === name && !node.isInputConnected(slot))),
        workflow: () => (app.rootGraph ?? app.graph).serialize(),
        choice: () => choiceAbove(node, 'predictions'),
        choose(level) {
            const widget = choiceAbove(node, 'predictions')
            if (!widget) return
            widget.value = level
            widget.callback?.(level)
            app.extensionManager.workflow?.activeWorkflow?.changeTracker?.checkState()
            app.queuePrompt(0, 1)
        },
    }
}

/**
 * Keep a widget's value and its input, but not its own face: on a subgraph's node it would be a row with nothing in it.
 * @param {ComfyWidget} widget
 */
function hide(widget) {
    widget.hidden = true
    widget.options.hidden = true
    widget.computeSize = () => [0, -4]
    keepInside(widget, () => true)
}

/** A subgraph offers no widget that is disabled. @param {ComfyWidget} widget @param {() => boolean} disabled */
function keepInside(widget, disabled) {
    Object.defineProperty(widget, 'computedDisabled', { get: disabled, set: () => {} })
}

/** Say that older runs' data had to go; once, since ComfyUI tells again of what it has not run again. @param {import('./explorer/data.js').Place} place */
function tellRemoved({ removed, subfolder }) {
    if (!removed || told.has(subfolder)) return
    told.add(subfolder)
    app.extensionManager.toast?.add({ severity: 'info', summary: TEXTS.explorer, detail: fill(TEXTS.removed, { count: removed }), life: 12_000 })
}

/** @type {Set<string>} */
const told = new Set()

/**
 * What stands in for a removed panel. Undo makes a node anew with the same id, and Nodes 2.0 then keeps the old one's place on the
 * page without asking for the new element: the new panel finds it by this. Where the place goes, this goes with it.
 * @param {ComfyNode} node
 */
function placeholder(node) {
    const stand = document.createElement('span')
    stand.dataset.sdexplainNode = String(node.id)
    return stand
}

/** @param {ComfyNode} node */
function mount(node) {
    speak(String(app.extensionManager.setting?.get('Comfy.Locale') ?? navigator.language))
    /** @type {Panel | null} null once the node is removed: newer pages keep removed nodes and their elements */
    let panel = new Panel(settings(node))
    const { element } = panel
    for (const widget of node.widgets) {
        hide(widget)
        const callback = widget.callback
        widget.callback = function (...told) {
            const answer = callback?.apply(this, told)
            panel?.refresh()
            return answer
        }
    }
    const shown = node.addDOMWidget('explorer', 'sdexplain-explorer', element, {
        serialize: false,
        hideOnZoom: false,
        hideInPanel: true, // the page's properties panel would give it a row with nothing in it
        getMinHeight: () => LEAST_HEIGHT,
    })
    shown.serialize = false
    // pages with such a panel, but without that option, write the panel's width here, and the element would keep it on the node
    Object.defineProperty(shown, 'width', { get: () => undefined, set: () => {} })
    // pages that call widgets by ids put one on a subgraph's node by its input alone; of another they offer it, and then do nothing
    if ('widgetId' in shown) keepInside(shown, () => node.graph?.id !== app.canvas?.graph?.id)
    const { computeSize, onExecuted, onRemoved, onConnectionsChange } = node
    node.computeSize = function (...told) {
        const [width, height] = computeSize.apply(this, told)
        return [Math.max(width, LEAST_WIDTH), height]
    }
    node.setSize([Math.max(node.size[0], SIZE[0]), Math.max(node.size[1], SIZE[1])])
    panels.set(node, panel)

    node.onConnectionsChange = function (...told) {
        onConnectionsChange?.apply(this, told)
        panel?.refresh()
    }
    node.onExecuted = function (output) {
        onExecuted?.call(this, output)
        const place = output?.sdexplain?.[0]
        if (!place) return
        remember(key(node), place)
        tellRemoved(place)
        if (panel) following.delete(panel)
        panel?.open(place)
    }
    node.onRemoved = function () {
        onRemoved?.call(this)
        panels.delete(node)
        if (panel) following.delete(panel)
        element.replaceWith(placeholder(node))
        panel?.remove()
        panel = null
    }
}

/** @type {WeakMap<object, Panel>} */
const panels = new WeakMap()

/** @type {Set<Panel>} those that show a run that is under way */
const following = new Set()

/**
 * The node that the server calls so: in a subgraph, by the ids of all nodes on the way to it.
 * @param {string} name such as 12, or 5:3
 */
function nodeCalled(name) {
    /** @type {any} */
    let graph = app.rootGraph ?? app.graph, node
    for (const id of name.split(':')) {
        node = graph?.getNodeById(Number(id))
        graph = node?.subgraph
    }
    return node
}

/** Show what a run has found out so far, if it is this workflow's. @param {{ node: string, workflow: string | null, place: import('./explorer/data.js').Place }} told */
function follow({ node, workflow, place }) {
    const panel = panels.get(nodeCalled(node) ?? {})
    if (!panel || workflow !== ((app.rootGraph ?? app.graph).id ?? null)) return
    following.add(panel)
    panel.open(place)
}

function stop() {
    for (const panel of following) panel.stopped()
    following.clear()
}

function loadStyle() {
    const link = document.createElement('link')
    link.rel = 'stylesheet'
    link.href = new URL('./explorer/explorer.css', import.meta.url).href
    document.head.append(link)
}

// before the first node is made: its page waits for this file
learn(await (await api.fetchApi('/i18n')).json().catch(() => ({})))

app.registerExtension({
    name: 'sdexplain.explorer',
    setup() {
        loadStyle()
        const server = /** @type {EventTarget} */ (/** @type {unknown} */ (api))
        server.addEventListener('sdexplain.live', event => follow(/** @type {CustomEvent} */ (event).detail))
        for (const end of ['execution_interrupted', 'execution_error']) server.addEventListener(end, stop)
    },
    nodeCreated(node) {
        if (node.comfyClass === NODE) mount(/** @type {ComfyNode} */ (node))
    },
    loadedGraphNode(node) {
        const panel = panels.get(node)
        if (!panel) return
        const name = String(node.id), root = app.rootGraph ?? app.graph
        const outputs = /** @type {Record<string, any>} */ (node.graph === root ? app.nodeOutputs : {}) // by the root's ids
        document.querySelector(`[data-sdexplain-node="${CSS.escape(name)}"]`)?.replaceWith(panel.element)
        const place = outputs?.[name]?.sdexplain?.[0] ?? recall(key(/** @type {ComfyNode} */ (node)))
        if (place) panel.open(place)
    },
})
