// Asking the model for more: the node above an explorer that has the choice, and what it chooses next.

import { button, make } from './dom.js'
import { TEXTS } from './texts.js'
import { fill } from './words.js'

const CHOICE = 'quality', LEVELS = ['quick', 'settled', 'exact']
const LINKS = 'NOISE_PREDICTIONS', LONGEST = 32 // links that are followed

/**
 * The widget by which the node chooses that predicts for an explorer, null if nothing above has one that can be set.
 * @param {ComfyNode} node @param {string} input the explorer's
 * @returns {ComfyWidget | null}
 */
export function choiceAbove(node, input) {
    /** @type {any} */
    let at = node.graph ? node : null // a node that is being made is in none yet: newer pages refuse to look for links then
    let slot = node.inputs.findIndex(({ name }) => name === input)
    for (let i = 0; i < LONGEST && at && slot >= 0; i++) {
        at = within(at.getInputNode(slot), at.getInputLink?.(slot)?.origin_slot)
        const widget = choiceOf(at)
        const own = at?.inputs?.findIndex((/** @type {any} */ { name }) => name === CHOICE) ?? -1
        if (widget) return own >= 0 && at.isInputConnected(own) ? null : widget
        slot = at?.inputs?.findIndex((/** @type {any} */ own) => [LINKS, '*'].includes(own.type)) ?? -1 // a reroute
    }
    return null
}

/** @param {any} node @returns {ComfyWidget | undefined} */
function choiceOf(node) {
    return node?.widgets?.find((/** @type {ComfyWidget} */ { name }) => name === CHOICE)
}

/**
 * The node in a subgraph that gives what the subgraph's node gives at an output, unless that one has the choice itself.
 * @param {any} node @param {number} output
 */
function within(node, output) {
    while (node?.subgraph && !choiceOf(node)) {
        const link = node.subgraph.getLink?.(node.subgraph.outputs[output]?.linkIds?.[0])
        node = link && node.subgraph.getNodeById(link.origin_id)
        output = link?.origin_slot
    }
    return node
}

/** The level after one; undefined after the last, and where there is none. @param {unknown} level */
export function nextLevel(level) {
    const at = LEVELS.indexOf(String(level))
    return at < 0 ? undefined : LEVELS[at + 1]
}

/** @typedef {import('./data.js').Live} Live */

/** The line below the picture: how far a run is that is under way, and the button that asks for more. */
export class Asking {
    /** @param {{ choice: () => ComfyWidget | null, choose: (level: string) => void }} on */
    constructor(on) {
        this.on = on
        this.says = make('span', { role: 'status' })
        this.more = button(TEXTS.ask_more, '', () => {
            const next = this.next
            if (next) on.choose(next)
            this.show()
        })
        this.element = make('div', { className: 'sdx-asking' }, this.says, this.more)
        this.show()
    }

    get next() {
        return nextLevel(this.on.choice()?.value)
    }

    /** What is offered now. */
    show() {
        const { next } = this, says = next === 'settled' ? TEXTS.ask_settled : TEXTS.ask_exact
        this.more.hidden = !next
        this.more.title = says
        this.more.setAttribute('aria-label', says)
        this.element.hidden = !next && !this.says.textContent
    }

    /** How far the run is that is shown, null once it has ended by itself. @param {Live | null} live @param {boolean} [stopped] */
    tell(live, stopped = false) {
        const { done = 0, wanted = 0, agreement = null } = live ?? {}
        const parts = live ? [fill(stopped ? TEXTS.stopped : TEXTS.live, { done, wanted })] : []
        if (agreement !== null) parts.push(fill(TEXTS.agreement, { agreement: agreement.toFixed(2) }))
        const says = parts.join(' ')
        if (says !== this.says.textContent) this.says.textContent = says // screen readers read out what is written anew
        this.says.title = agreement === null ? '' : TEXTS.agreement_means
        this.show()
    }
}
