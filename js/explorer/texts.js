// The words that only the page has: names of its controls, tooltips, and what to do if there are no data. All others come
// with the data, from nodes/maths/wording.py and nodes/maths/files/explorer.py.

export const TEXTS = {
    // if there is nothing to show
    connect: 'Connect {inputs}, then run the workflow.',
    and: ' and ',
    run: 'Run the workflow. Then drag through the steps here and point at the picture.',
    gone: 'The data of the last run are gone. Run the workflow again.',
    foreign: 'This is not a file of the Explorer. Run the workflow again.',
    version: 'The Explorer’s file has version {version}; this page reads {expected}. Reload the page.',
    tooLarge: 'The picture could not be saved: it is too large for this browser.',

    // the parts of the panel
    explorer: 'Explorer',
    tools: 'What is shown',
    savePicture: 'Save the picture with its legend, settings and workflow',
    saveMap: 'Save the map’s numbers as a numpy array',
    more: 'More settings',
    hold: 'Keep the scale while the range changes',
    holdRow: 'Hold the scale',
    range: 'Range of steps',
    first: 'First step',
    last: 'Last step',
    play: 'Play: sweep the range through the steps',
    levels: 'σ: noise level, λ: log signal-to-noise ratio, of the first and of the last step',
    bar: 'Colour scale',
    total: 'The sum over all cells and the chosen steps. 2.3 nats: to the model, one label is ten times as likely as the other; 4.6 nats: a hundred times.',
    image: 'image',
    sample: 'noise sample',
    previous: 'Previous {name}',
    next: 'Next {name}',
    picture: '{view}. Arrow keys pin a cell, plus and minus zoom, Escape unpins.',
}

/** @type {Record<string, string>} what the picture is, by view */
export const VIEWS = {
    overlay: 'Heatmap over the picture',
    heatmap: 'Heatmap alone',
    'side by side': 'Picture, and heatmap beside it',
    swipe: 'Heatmap on the left of the divider, the picture on its right',
    decoded: 'Colours that the sum adds',
}

/**
 * The fields: the name of each, what else its tooltip says, the words before and after it, and the options that have another
 * name on the page.
 * @type {Record<string, { name: string, says?: string, row?: string, unit?: string, options?: Record<string, string> }>}
 */
export const FIELDS = {
    reading: {
        name: 'Reading',
        says: 'evidence: what speaks for (+) or against (−) the first prompt. information, absolute: where the prompts differ at all. difference: the difference itself, where opposite signs cancel.',
    },
    scalar: { name: 'Number per cell', options: { 'channel norm': 'how much', 'channel mean': 'signed mean' } },
    sign: { name: 'Side', options: { both: 'for and against', positive: 'only for', negative: 'only against' } },
    view: { name: 'View' },
    opacity: { name: 'Opacity', row: 'Opacity' },
    colour_map: { name: 'Colour map', row: 'Colours' },
    background: { name: 'Background', row: 'Background' },
    interpolation: { name: 'Interpolation', row: 'Between cells' },
    percentile: { name: 'Percentile', row: 'Full colour at', unit: ' %' },
    weighting: { name: 'Weighting', row: 'Steps count' },
    reliability: { name: 'Reliability', row: 'Cells' },
    threshold: { name: 'Threshold', row: 'beyond', unit: ' SE' },
}
