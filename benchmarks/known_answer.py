"""The evidence against the exact log-odds, on data whose exact denoiser is known: no model, no picture, nothing to learn.

`python dev.py run benchmarks.known_answer` prints a table (less than a minute on one core) and writes it as CSV, with a figure.
The error of an evidence map has two parts, measured separately: the schedule's (a sum in place of an integral, over a finite
range), seen alone if the mean over the noise is exact, and the noise's, which more samples or steps make smaller.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor
from tqdm import tqdm

from ..nodes.maths.method.difference import sum_steps
from ..nodes.maths.method.noising import NoisedLatents, draw_noise
from ..nodes.maths.method.prediction import NoisePredictions, collect_prompt
from ..tools.environment import ROOT

FAMILIES = ("eps", "v", "x0", "flow")
Noise = Literal["antithetic pairs", "independent", "exact mean"]

REACH = (100.0, 0.01)  # from a noise level that hides the class to one that hides nothing
STEPS = 400
STEP_COUNTS = (12, 25, 50, 100, 200, STEPS)
SAMPLES = (1, 2, 4, 8, 16, 32)
TYPICAL = 16  # the samples at which steps and families are compared
SIDE = 32  # h = w, with one channel: a map has 1024 elements
NODES = 41  # of the exact mean over the noise
RANGES = 5  # that the evidence is cut into, to see that it adds up
CHUNK = 64


# ----------------------------------------------------------------------------------------------- data, and its denoiser


@dataclass(frozen=True)
class Gaussians:
    """Class c: every latent element ~ N(mean_c, spread^2), independently; a mean per channel, so that channels differ."""

    target: Tensor  # [C]
    contrast: Tensor  # [C]
    spread: float

    def swapped(self) -> Gaussians:
        return replace(self, target=self.contrast, contrast=self.target)

    def mean(self, prompt: str) -> Tensor:
        """The expected image if there is only noise, [C,1,1]."""
        return (self.target if prompt == "target" else self.contrast)[:, None, None]

    def posterior_mean(self, x: Tensor, sigma: Tensor, prompt: str) -> Tensor:
        """D(x_sigma) = (s^2 x + sigma^2 mean) / (s^2 + sigma^2) for x = x0 + sigma * noise."""
        return (self.spread**2 * x + sigma**2 * self.mean(prompt)) / (self.spread**2 + sigma**2)

    def log_odds(self, x0: Tensor) -> Tensor:
        """log p(x0 | target) - log p(x0 | contrast) of each element: [(x0 - mean_B)^2 - (x0 - mean_A)^2] / (2 s^2)."""
        target, contrast = self.mean("target"), self.mean("contrast")
        return ((x0 - contrast) ** 2 - (x0 - target) ** 2) / (2 * self.spread**2)

    def draw(self, shape: Sequence[int], generator: torch.Generator) -> Tensor:
        """Latents [B,C,h,w] of the target."""
        return self.mean("target") + self.spread * torch.randn(*shape, generator=generator)


@dataclass(frozen=True)
class Mixture:
    """One class: every latent element ~ sum over j of weight_j N(mean_j, spread_j^2), independently; all are [J]."""

    weights: Tensor
    means: Tensor
    spreads: Tensor

    def log_joint(self, x: Tensor, sigma: Tensor) -> Tensor:
        """log of weight_j N(x; mean_j, spread_j^2 + sigma^2), [J,...]: how likely x and component j are together."""
        components = torch.distributions.Normal(_first(self.means, x), (_first(self.spreads, x) ** 2 + sigma**2).sqrt())
        return components.log_prob(x[None]) + _first(self.weights, x).log()

    def log_density(self, x: Tensor) -> Tensor:
        return self.log_joint(x, torch.zeros(())).logsumexp(0)

    def posterior_mean(self, x: Tensor, sigma: Tensor) -> Tensor:
        """D = sum over j of responsibility_j * (s_j^2 x + sigma^2 mean_j) / (s_j^2 + sigma^2)."""
        variances = _first(self.spreads, x) ** 2
        means = (variances * x + sigma**2 * _first(self.means, x)) / (variances + sigma**2)
        return (self.log_joint(x, sigma).softmax(0) * means).sum(0)


def _first(values: Tensor, x: Tensor) -> Tensor:
    """[J] as the first of x's dimensions."""
    return values.view(-1, *[1] * x.ndim)


@dataclass(frozen=True)
class Mixtures:
    """Two classes of mixtures."""

    target: Mixture
    contrast: Mixture

    def mixture(self, prompt: str) -> Mixture:
        return self.target if prompt == "target" else self.contrast

    def mean(self, prompt: str) -> Tensor:
        """The expected image if there is only noise, [1,1,1]."""
        mixture = self.mixture(prompt)
        return (mixture.weights * mixture.means).sum().view(1, 1, 1)

    def posterior_mean(self, x: Tensor, sigma: Tensor, prompt: str) -> Tensor:
        """D(x_sigma) for x = x0 + sigma * noise."""
        return self.mixture(prompt).posterior_mean(x, sigma)

    def log_odds(self, x0: Tensor) -> Tensor:
        """log p(x0 | target) - log p(x0 | contrast) of each element."""
        return self.target.log_density(x0) - self.contrast.log_density(x0)

    def draw(self, shape: Sequence[int], generator: torch.Generator) -> Tensor:
        """Latents [B,C,h,w] of the target."""
        number = int(np.prod(shape))
        chosen = torch.multinomial(self.target.weights, number, replacement=True, generator=generator).view(*shape)
        return self.target.means[chosen] + self.target.spreads[chosen] * torch.randn(*shape, generator=generator)


Classes = Gaussians | Mixtures

DATA: dict[str, Classes] = {
    "Gaussian": Gaussians(torch.tensor([0.5]), torch.tensor([-0.5]), spread=0.8),
    # stripes, light or dark, against the plain coat between them
    "mixture": Mixtures(
        Mixture(torch.tensor([0.5, 0.5]), torch.tensor([-1.0, 1.0]), torch.tensor([0.4, 0.4])),
        Mixture(torch.tensor([0.3, 0.7]), torch.tensor([-0.5, 0.2]), torch.tensor([0.6, 0.8])),
    ),
}


def wrapped(classes: Classes, family: str) -> Callable[[Tensor, Tensor, str], Tensor]:
    """The denoiser by way of what a network of that family gives out, and back to D by the family's own formula."""

    def denoise(x: Tensor, sigma: Tensor, prompt: str) -> Tensor:
        sigma = sigma[:, None, None, None]
        if family == "flow":
            # x = (1 - t) x0 + t noise is (1 - t) times the exploding form at sigma = t / (1 - t); pure noise tells nothing.
            clean = torch.where(
                sigma == 1, classes.mean(prompt), classes.posterior_mean(x / (1 - sigma), sigma / (1 - sigma), prompt)
            )
            velocity = (x - clean) / sigma
            return x - sigma * velocity
        clean = classes.posterior_mean(x, sigma, prompt)
        if family == "x0":
            return clean
        eps = (x - clean) / sigma
        if family == "eps":
            return x - sigma * eps
        scale = (1 + sigma**2).rsqrt()
        velocity = scale * eps - sigma * scale * clean
        return scale**2 * x - sigma * scale * velocity

    return denoise


def as_flow(noised: NoisedLatents) -> NoisedLatents:
    """The same images, noise and signal-to-noise ratios as a flow model has them: t = sigma / (1 + sigma)."""
    levels = noised.sigmas / (1 + noised.sigmas)
    return replace(noised, sigmas=levels, alphas=1 - levels)


# ------------------------------------------------------------------------------------------------------------- measuring


@dataclass(frozen=True)
class Case:
    """Which data is asked about, how, and with which noise."""

    data: str
    family: str
    noise: Noise
    steps: int
    seed: int
    samples: tuple[int, ...]


@dataclass(frozen=True)
class Row:
    """One evidence map against its exact log-odds."""

    data: str
    family: str
    noise: Noise
    steps: int
    samples: int
    seed: int
    exact: float
    """The exact log-odds of all elements together, in nats."""
    total_error: float
    """The evidence's total over it, minus 1."""
    correlation: float
    """Of the elements' evidence with their exact log-odds."""
    element_error: float
    """Root mean square error of an element, in nats."""
    additivity: float
    """The largest difference between the whole schedule's evidence and the sum of five ranges', over the largest evidence."""


def measure(seed: int = 0, seeds: int = 5, steps: int = STEPS, side: int = SIDE, progress: bool = True) -> list[Row]:
    """Measure everything that the table and the figure show, with `seeds` draws of data and noise from `seed` on."""
    listed = cases(range(seed, seed + seeds), steps)
    return [row for case in tqdm(listed, "known answer", disable=not progress) for row in measure_case(case, side)]


def cases(seeds: Sequence[int], steps: int = STEPS) -> list[Case]:
    """Every number of samples, with and without pairs; every family at the first seed; numbers of steps, and their own error."""
    pairs, fewer = tuple(samples for samples in SAMPLES if samples % 2 == 0), [s for s in STEP_COUNTS if s < steps]
    noises: list[tuple[Noise, tuple[int, ...]]] = [("antithetic pairs", pairs), ("independent", SAMPLES)]
    listed = []
    for data in DATA:
        listed += [Case(data, "eps", noise, steps, seed, samples) for noise, samples in noises for seed in seeds]
        listed += [Case(data, family, "antithetic pairs", steps, seeds[0], (TYPICAL,)) for family in FAMILIES[1:]]
        listed += [Case(data, "eps", "antithetic pairs", count, seed, (TYPICAL,)) for count in fewer for seed in seeds]
        listed += [Case(data, "eps", "exact mean", count, seeds[0], (NODES,)) for count in (*fewer, steps)]
    return listed


def measure_case(case: Case, side: int = SIDE) -> list[Row]:
    """A row for each number of samples; fewer samples are the first of more, as in the nodes."""
    classes = DATA[case.data]
    x0 = classes.draw((1, 1, side, side), torch.Generator().manual_seed(case.seed))
    noise, weights = noise_of(case, side)
    noised = noised_latents(x0, noise, case.steps, case.noise == "antithetic pairs")
    noised = as_flow(noised) if case.family == "flow" else noised
    parts, whole = evidence_of(noised, wrapped(classes, case.family))
    exact = classes.log_odds(x0)[0, 0].double()
    rows = []
    for samples in case.samples:
        share = weights[:samples, None, None] / weights[:samples].sum()
        evidence, added = ((share * values[:samples]).sum(0) for values in (whole, parts))
        rows.append(
            Row(
                data=case.data,
                family=case.family,
                noise=case.noise,
                steps=case.steps,
                samples=samples,
                seed=case.seed,
                exact=exact.sum().item(),
                total_error=(evidence.sum() / exact.sum() - 1).item(),
                correlation=torch.corrcoef(torch.stack([evidence.flatten(), exact.flatten()]))[0, 1].item(),
                element_error=(evidence - exact).square().mean().sqrt().item(),
                additivity=((evidence - added).abs().max() / evidence.abs().max()).item(),
            )
        )
    return rows


def noise_of(case: Case, side: int) -> tuple[Tensor, Tensor]:
    """Noise [R,S or 1,1,h,w] and what each sample weighs, [R]: the nodes' own, or Gauss-Hermite quadrature.

    With quadrature sample r is one number everywhere, its r-th node; elements are independent, so the weighted mean is the exact
    expectation over Gaussian noise, except for what no polynomial of degree 2R - 1 can follow.
    """
    if case.noise == "exact mean":
        nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
        noise = torch.from_numpy(nodes).float().view(-1, 1, 1, 1, 1).expand(-1, 1, 1, side, side)
        return noise, torch.from_numpy(weights)
    paired = case.noise == "antithetic pairs"
    noise = draw_noise((1, side, side), case.seed, max(case.samples), case.steps, per_step=True, antithetic=paired)
    return noise, torch.ones(len(noise), dtype=torch.float64)


def noised_latents(x0: Tensor, noise: Tensor, steps: int, antithetic: bool) -> NoisedLatents:
    """x0 [B,C,h,w] at levels that are evenly spread in log SNR over REACH, in an exploding model's form."""
    sigmas = torch.logspace(*torch.tensor(REACH).log10().tolist(), steps)
    channels = torch.ones(x0.shape[1])
    return NoisedLatents(x0, noise, sigmas, torch.ones(steps), channels, 0 * channels, antithetic=antithetic)


def evidence_of(noised: NoisedLatents, denoise: Callable[[Tensor, Tensor, str], Tensor]) -> tuple[Tensor, Tensor]:
    """The evidence of the one image in nats, [R,h,w] float64: the sum of five ranges', and that of the whole schedule."""
    target, contrast = (
        collect_prompt(noised, lambda x, sigma, prompt=prompt: denoise(x, sigma, prompt), CHUNK)
        for prompt in ("target", "contrast")
    )
    predictions = NoisePredictions(noised, target, contrast, "target", "contrast")
    edges = [noised.steps * number // RANGES for number in range(RANGES + 1)]
    spans = [*pairwise(edges), (0, noised.steps)]
    sums = [sum_steps(predictions, *span, "evidence", "information").values[:, 0, 0].double() for span in spans]
    return torch.stack(sums[:-1]).sum(0), sums[-1]


# --------------------------------------------------------------------------------------------------- tables and a figure


def grouped(rows: Sequence[Row]) -> dict[tuple[str, str, Noise, int, int], list[Row]]:
    """The rows of all seeds by (data, family, noise, steps, samples)."""
    groups: dict[tuple[str, str, Noise, int, int], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.data, row.family, row.noise, row.steps, row.samples), []).append(row)
    return groups


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean, and the ends of its 95 % interval by Student's t; NaN ends for a single value."""
    from scipy.stats import t

    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, float("nan"), float("nan")
    reach = t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5
    return mean, mean - reach, mean + reach


def table(rows: Sequence[Row]) -> str:
    """Markdown: a line for each setting, the mean over the seeds with its 95 % interval, and the worst seed."""
    head = ["data", "model", "noise", "steps", "R", "error of the total", "worst", "correlation", "worst", "additivity"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for (data, family, noise, steps, samples), group in grouped(rows).items():
        errors, correlations = [row.total_error for row in group], [row.correlation for row in group]
        cells = [
            data,
            family,
            noise,
            str(steps),
            "–" if noise == "exact mean" else str(samples),
            _with_interval(errors, "{:+.2%}"),
            f"{max(errors, key=abs):+.2%}",
            _with_interval(correlations, "{:.5f}"),
            f"{min(correlations):.5f}",
            f"{max(row.additivity for row in group):.0e}",
        ]
        lines.append(f"| {' | '.join(cells)} |".replace("-", "−"))
    return "\n".join(lines)


def _with_interval(values: Sequence[float], form: str) -> str:
    mean, low, high = interval(values)
    return form.format(mean) + (f" [{form.format(low)}, {form.format(high)}]" if len(values) > 1 else "")


def write_csv(file: Path, rows: Sequence[Row]) -> None:
    """One line for each row."""
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow([field.name for field in fields(Row)])
        writer.writerows(astuple(row) for row in rows)


COLOURS: dict[tuple[str, Noise], str] = {  # Okabe and Ito (2008)
    ("Gaussian", "antithetic pairs"): "#0072b2",
    ("Gaussian", "independent"): "#56b4e9",
    ("Gaussian", "exact mean"): "#0072b2",
    ("mixture", "antithetic pairs"): "#d55e00",
    ("mixture", "independent"): "#e69f00",
    ("mixture", "exact mean"): "#d55e00",
}
STYLES = {"antithetic pairs": "-", "independent": "--", "exact mean": ":"}
SMALLEST = 1e-7  # what float32 leaves of a correlation of 1


def figure(rows: Sequence[Row]) -> Figure:
    """Errors over the number of samples (left) and steps (right):
    lines are the root mean square over seeds, dots single seeds."""
    drawn = Figure((10, 7), layout="constrained")
    FigureCanvasAgg(drawn)
    whole = max(row.steps for row in rows)
    measures: list[tuple[str, Callable[[Row], float], float]] = [
        ("relative error of the total", lambda row: abs(row.total_error), 0.01),
        ("1 − correlation of the elements", lambda row: max(1 - row.correlation, SMALLEST), 0.001),
    ]
    axes = drawn.subplots(2, 2, sharey="row", sharex="col")
    for (label, value, bound), (over_samples, over_steps) in zip(measures, axes, strict=True):
        for (data, noise), colour in COLOURS.items():
            own = [row for row in rows if (row.data, row.noise, row.family) == (data, noise, "eps")]
            look = {"color": colour, "linestyle": STYLES[noise], "label": f"{data}, {noise}"}
            if noise != "exact mean":
                _curve(over_samples, [(row.samples, value(row)) for row in own if row.steps == whole], **look)
            if noise != "independent":
                points = [(row.steps, value(row)) for row in own if noise == "exact mean" or row.samples == TYPICAL]
                _curve(over_steps, points, **look)
        for ax in (over_samples, over_steps):
            ax.axhline(bound, color="#59616d", linewidth=0.8)
            ax.text(0.99, bound, f"{bound:g}", transform=ax.get_yaxis_transform(), ha="right", va="bottom", fontsize=8)
            ax.set(xscale="log", yscale="log")
            ax.grid(alpha=0.3)
        over_samples.set_ylabel(label)
    axes[0, 0].set_title(f"{whole} steps")
    axes[0, 1].set_title(f"R = {TYPICAL}; dotted: the schedule’s own error")
    axes[1, 0].set(xlabel="noise samples R", xticks=SAMPLES, xticklabels=[str(number) for number in SAMPLES])
    counts = sorted({row.steps for row in rows})
    axes[1, 1].set(xlabel="steps", xticks=counts, xticklabels=[str(number) for number in counts])
    for ax in axes[1]:
        ax.minorticks_off()
    handles = {}
    for ax in axes[0]:
        handles.update({text: handle for handle, text in zip(*ax.get_legend_handles_labels(), strict=True)})
    drawn.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3, frameon=False)
    return drawn


def _curve(ax: Axes, points: list[tuple[int, float]], **look: str) -> None:
    places = sorted({place for place, _ in points})
    values = [[value for at, value in points if at == place] for place in places]
    ax.plot(places, [np.mean(np.square(group)) ** 0.5 for group in values], **look)
    ax.scatter(*zip(*points, strict=True), s=5, color=look["color"], alpha=0.5)


def write(folder: Path, rows: Sequence[Row]) -> None:
    """known_answer.csv, known_answer.md and known_answer.png."""
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(folder / "known_answer.csv", rows)
    (folder / "known_answer.md").write_text(table(rows) + "\n", encoding="utf-8")
    figure(rows).savefig(folder / "known_answer.png", dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="the first seed of data and noise")
    parser.add_argument("--seeds", type=int, default=5, help="how many seeds")
    parser.add_argument("--steps", type=int, default=STEPS, help="steps at which numbers of samples are compared")
    parser.add_argument("--output", type=Path, default=ROOT / "output" / "truth", help="table and figure")
    options = parser.parse_args()
    rows = measure(options.seed, options.seeds, options.steps)
    write(options.output, rows)
    print(table(rows))
