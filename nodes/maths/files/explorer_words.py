"""All words of the Explorer's page, in English; those in other languages lie in locales/<language>/main.json.

The page gets the sentences with a run's data. Everything else it reads, in its language, from what `tools/locales.py` writes.
"""

from __future__ import annotations

from ..answers.settled import AGREEMENT

PAGE_SENTENCES = {
    "versus": "{target} vs {contrast}",
    "steps": "steps {start}–{end} of {steps}, noisiest first",
    "steps_asked": "steps {start}–{end} of {steps}, noisiest first; asked: {asked} of {steps}",
    "level": "σ {sigma}, λ {log_snr}",
    "level_alone": "σ {sigma}",
    "levels": "{first}  →  {last}",
    "step": "step {step} of {steps}: {value} {unit}",
    "step_not_asked": "step {step} of {steps}: not asked",
    "range_not_asked": "The model was not asked at these steps.",
    "cell": "Cell {column}, {row}: {value} {unit}",
    "box": "Box of {count} cells: {value} {unit}",
    "image": "image {image} of {images}",
    "sample": "sample {sample} of {samples}",
    "mean": "mean of {samples} samples",
    "contour": "Line at {value} {unit}",
    "decoded_badge": "decoded by the VAE",
    "decoded": "Colours that the sum adds, decoded by the VAE.",
    "guessed_badge": "estimate without VAE",
    "guessed": "Colours that the sum adds, estimated from the picture’s own latent. Connect a VAE to see what it decodes.",
    "estimated_badge": "estimate, R² {fit} (1 at best)",
    "estimated": "Colours that the sum adds, estimated from what the VAE decoded (R² {fit}; 1 at best). "
    "Run the workflow to decode this range.",
}
"""What the page says of the data besides the legend's `SENTENCES`; it comes with them."""

TEXTS = {
    # if there is nothing to show
    "connect": "Connect {inputs}, then run the workflow.",
    "and": " and ",
    "run": "Run the workflow. Then drag through the steps here and point at the picture.",
    "gone": "The data of this run are gone: the newest 2 GB are kept until ComfyUI stops. Run the workflow again.",
    "removed": "The data of {count} older Explorer runs were removed: the newest 2 GB are kept. Run those workflows again to see "
    "them.",
    "foreign": "This is not a file of the Explorer. Run the workflow again.",
    "version": "The Explorer’s file has version {version}; this page reads {expected}. Reload the page.",
    "too_large": "The picture could not be saved: it is too large for this browser.",
    # the parts of the panel
    "explorer": "Explorer",
    "tools": "What is shown",
    "save_picture": "Save the picture with its legend, settings and workflow",
    "save_drawing": "Save the same as SVG: its words and lines stay sharp at every size",
    "save_map": "Save the map’s numbers as a numpy array",
    "more": "More settings",
    "full_screen": "Full screen, or back",
    "places": "The strongest places",
    "no_places": "No place stands out.",
    "hold": "Hold the scale: weak ranges then look weak",
    "range": "Range of steps",
    "first": "First step",
    "last": "Last step",
    "play": "Play: sweep the range through the steps, then return",
    "levels": "σ: noise level, λ: log signal-to-noise ratio (above 0: more picture than noise), of the first and of the last "
    "step",
    "bar": "Colour scale",
    "total": "The sum over all cells and the chosen steps. 2.3 nats: to the model, one label is ten times as likely as the "
    "other; 4.6 nats: a hundred times.",
    # a run that is under way, and asking for more
    "live": "The model is being asked: {done} of at most {wanted} evaluations are there.",
    "agreement": "Map against other steps: correlation {agreement}.",
    "agreement_means": "How alike this map and one of as many other steps would be: 1 is the same map. From "
    f"{AGREEMENT} on, and with a sure verdict, more would hardly change it.",
    "stopped": "Stopped with {done} of at most {wanted} evaluations. The next run asks only for the others.",
    "later": "While the model is being asked, only the reading that this run began with is shown, and no decoded colours. The "
    "others come at its end.",
    "ask_more": "Ask for more",
    "ask_settled": "Ask for more: sets the quality to settled and runs, until more would hardly change map and verdict. What is "
    "known is not asked again.",
    "ask_exact": "Ask for more: sets the quality to exact and runs, with all steps and noise samples. What is known is not asked "
    "again.",
    "image": "image",
    "sample": "noise sample",
    "previous": "Previous {name}",
    "next": "Next {name}",
    "picture": "{view}. Arrow keys pin a cell, with Shift a box, N goes to the next strongest place, plus and minus zoom, Escape "
    "unpins.",
}
"""What the page's parts are called, tooltips, and what to do if there are no data."""

VIEWS = {
    "overlay": "Heatmap over the picture",
    "heatmap": "Heatmap alone",
    "side by side": "Picture, and heatmap beside it",
    "swipe": "Heatmap on the left of the divider, the picture on its right",
    "decoded": "Colours that the sum adds",
}
"""What the picture is, by view."""

FIELDS = {
    "reading": {
        "name": "Reading",
        "says": "evidence: what speaks for (+) or against (−) the first prompt. information, absolute, combined: where the "
        "prompts differ at all. difference: the difference itself, where opposite signs cancel.",
    },
    "scalar": {"name": "Number per cell"},
    "sign": {"name": "Side"},
    "view": {"name": "View"},
    "opacity": {"name": "Opacity", "row": "Opacity"},
    "colour_map": {"name": "Colour map", "row": "Colours"},
    "background": {"name": "Background", "row": "Background"},
    "interpolation": {"name": "Interpolation", "row": "Between cells"},
    "percentile": {"name": "Percentile", "row": "Full colour at", "unit": " %"},
    "weighting": {"name": "Weighting", "row": "Steps count"},
    "reliability": {"name": "Reliability", "row": "Cells"},
    "threshold": {"name": "Threshold", "row": "beyond", "unit": " SE"},
    "contour": {"name": "Contour line", "row": "Line at"},
    "paper": {"name": "Legend of saved pictures", "row": "Saved on"},
}
"""Each field's name, what else its tooltip says, and the words before and after it."""

OPTIONS = {
    "channel norm": "how much",
    "channel mean": "signed mean",
    "both": "for and against",
    "positive": "only for",
    "negative": "only against",
}
"""Options that have another name on the page."""
