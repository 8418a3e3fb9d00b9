"""The explorer's files say what the nodes compute, and its page computes the same from them."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import javascript
import numpy as np
import pytest
import torch
from explorer_files import contents, data_start, listed
from sdexplain.nodes.maths.answers.verdict import assumed_parts, judge
from sdexplain.nodes.maths.files.explorer import curve, digest, layers, one_sample, overview, parts
from sdexplain.nodes.maths.files.explorer_words import TEXTS
from sdexplain.nodes.maths.files.latent_colours import decoder_colours, picture_colours
from sdexplain.nodes.maths.method.cases import unknown_words_note
from sdexplain.nodes.maths.method.difference import read_step, step_weights, sum_steps
from sdexplain.nodes.maths.method.heatmap import make_heatmap, show_only
from sdexplain.nodes.maths.method.noising import NoisedLatents, assumed_of_shares, draw_noise
from sdexplain.nodes.maths.method.prediction import NoisePredictions, part_of
from sdexplain.nodes.maths.method.reading import read_map, standard_error
from sdexplain.nodes.maths.method.scalar import scalar_map
from sdexplain.nodes.maths.method.uncertainty import error_of_total
from sdexplain.nodes.maths.pictures.legend import end_texts, scale_numbers
from sdexplain.nodes.maths.wording import RECOGNITION, format_value

EXPLORER = javascript.FOLDER.parent.parent / "js" / "explorer"
VIEW = {
    "start": 1,
    "end": 4,
    "reading": "evidence",
    "weighting": "information",
    "scalar": "channel norm",
    "sign": "both",
    "percentile": 97.0,
    "scale": 0.0,
    "reliability": "all",
    "threshold": 2.0,
    "sample": 0,
    "shown_image": 2,
}


def made(
    samples: int = 4,
    steps: int = 5,
    fresh_noise: bool = True,
    antithetic: bool = False,
    images: int = 2,
    cells: tuple[int, int] = (6, 8),
) -> NoisePredictions:
    """Predictions that differ in the right half alone, more in the second image."""
    generator = torch.Generator().manual_seed(5)
    x0 = torch.randn(images, 3, *cells, generator=generator)
    sigmas = torch.logspace(1, -1, steps)
    noise = draw_noise((3, *cells), 7, samples, steps, per_step=fresh_noise, antithetic=antithetic)
    noised = NoisedLatents(x0, noise, sigmas, torch.ones(steps), torch.ones(3), torch.zeros(3), antithetic=antithetic)
    contrast = torch.randn(samples, steps, images, 3, *cells, generator=generator)
    change = 0.3 * torch.randn(contrast.shape, generator=generator)
    change += torch.arange(1.0, images + 1)[:, None, None, None] * x0
    change[..., : cells[1] // 2] = 0
    return NoisePredictions(noised, contrast + change, contrast, "a “zebra” <b>", "horse")


def pictures(images: int = 2, cells: tuple[int, int] = (6, 8)) -> torch.Tensor:
    return torch.rand(images, 8 * cells[0], 8 * cells[1], 3, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def page_says(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """What the page computes for some predictions and a view."""

    def ask(predictions: NoisePredictions, **changes: Any) -> dict[str, Any]:
        view = VIEW | changes
        shown = pictures(predictions.noised.images, tuple(predictions.noised.x0.shape[2:]))
        files = {"overview": overview(predictions, shown), "parts": parts(predictions, view["reading"], view["shown_image"] - 1)}
        for name, content in files.items():
            (tmp_path / name).write_bytes(content)
        return page_of(tmp_path, view)

    return ask


def page_of(folder: Path, view: dict[str, Any]) -> dict[str, Any]:
    """What the page computes from the files "overview" and "parts"."""
    command = [javascript.node(), str(javascript.FOLDER / "page.mjs"), str(folder / "overview"), str(folder / "parts")]
    done = subprocess.run([*command, json.dumps(view)], capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_page_can_view_every_array_in_place() -> None:
    predictions = made()
    for content in (overview(predictions, pictures()), parts(predictions, "evidence", 0), parts(predictions, "difference", 1)):
        assert data_start(content) % 8 == 0
        arrays = {name: entry for name, entry in listed(content).items() if name != "__metadata__"}
        for entry in arrays.values():
            assert entry["dtype"] in ("F32", "U8") and (entry["dtype"] == "U8" or entry["data_offsets"][0] % 4 == 0)
        places = [(entry["data_offsets"][0], entry["dtype"]) for entry in arrays.values()]
        assert [kind for _, kind in sorted(places)] == sorted(kind for _, kind in places)  # F32 before U8


@pytest.mark.parametrize("label", ["“斑馬” 🦓", "{noun} %s", "\ud800", ""])
def test_labels_come_back_as_they_are(label: str) -> None:
    predictions = replace(made(), target_label=label)
    assert contents(overview(predictions, pictures()))[0]["target"] == label


def test_the_page_reads_what_python_wrote_and_refuses_other_files_in_words(tmp_path: Path) -> None:
    from safetensors.numpy import save

    content = overview(made(), pictures())
    script = "import { readFileSync } from 'node:fs'; import { read } from '%s'; import { learn } from '%s';"
    script += f"learn({json.dumps({'en': {'sdexplain': {'texts': TEXTS}}})});"
    script += "read(new Uint8Array(readFileSync(process.argv[1])).buffer)"
    modules = tuple((EXPLORER / name).as_uri() for name in ("safetensors.js", "texts.js"))
    refused = {
        "not a file of the Explorer": [b"", b"PNG0" + bytes(20), content[:100], save({"a": np.zeros(2)})],
        "version 9": [content.replace(b'"version":"4"', b'"version":"9"')],
    }
    for name, broken in {"": [content], **refused}.items():
        for place, text in enumerate(broken):
            file = tmp_path / f"{place}.safetensors"
            file.write_bytes(text)
            command = [
                javascript.node(),
                "--input-type=module",
                "-e",
                script.replace("%s", modules[0], 1).replace("%s", modules[1], 1),
                str(file),
            ]
            done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
            assert (done.returncode != 0) == bool(name) and name in done.stderr, (text[:40], done.stderr)


def test_a_file_of_parts_holds_every_steps_reading() -> None:
    predictions = made()
    values = contents(parts(predictions, "difference", 1))[1]["values"]
    np.testing.assert_array_equal(values[:, 3], read_step(predictions, 3, "difference")[:, 1])


def test_where_the_samples_are_too_many_their_mean_and_variance_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    predictions = made()
    monkeypatch.setattr("sdexplain.nodes.maths.files.explorer.MOST_VALUES", 100)
    assert layers(predictions.noised) == "mean"
    arrays = contents(parts(predictions, "evidence", 0))[1]
    each = read_step(predictions, 2, "evidence")[:, 0]
    np.testing.assert_allclose(arrays["values"][0, 2], each.mean(dim=0), rtol=1e-6)
    np.testing.assert_allclose(arrays["variance"][2], each.var(dim=0)[0] / 4, rtol=1e-5)


def test_the_curve_of_evidence_adds_up_to_the_log_odds() -> None:
    predictions = made()
    summed = sum_steps(predictions, 1, 4, "evidence", "information")
    each = curve(predictions, "evidence")[:, 1:4] * predictions.noised.step_shares[1:4, None]
    torch.testing.assert_close(each.sum(dim=1).mean(dim=0), summed.total)


def test_the_name_of_the_files_changes_with_the_content_alone() -> None:
    first, same, other = digest(made(), pictures()), digest(made(), pictures()), digest(made(), pictures() * 0.5)
    assert first == same != other
    assert digest(made(antithetic=True), pictures()) != first


def test_the_pictures_own_colours_find_a_latent_that_is_the_picture() -> None:
    predictions = made()
    cells = torch.nn.functional.interpolate(predictions.noised.x0, scale_factor=8, mode="nearest").movedim(1, -1)
    factors = picture_colours(0.5 + 0.1 * cells, predictions.noised)
    torch.testing.assert_close(factors, 0.1 * torch.eye(3).expand(2, -1, -1), atol=0.005, rtol=0)


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_the_colours_of_a_linear_decoder_are_found_exactly(steps: int) -> None:
    predictions, matrix = made(steps=steps), torch.tensor([[0.3, 0.1, 0.0], [0.0, 0.2, 0.1], [0.05, 0.0, 0.4]])
    colours, fit = decoder_colours(predictions, "uniform", lambda latents: 0.4 + latents.movedim(1, -1) @ matrix)
    torch.testing.assert_close(colours, torch.cat([matrix, torch.full((1, 3), 0.4)]).expand(2, -1, -1), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(fit, torch.ones(2))


def test_a_decoder_that_is_not_linear_is_said_to_be_fitted_in_part() -> None:
    _, fit = decoder_colours(made(), "uniform", lambda latents: (latents.movedim(1, -1) / 2).sin())
    assert ((0 < fit) & (fit < 0.99)).all()


def test_equal_predictions_leave_the_decoder_only_its_constant() -> None:
    predictions = made()
    same = NoisePredictions(predictions.noised, predictions.target, predictions.target, "zebra", "zebra")
    colours, fit = decoder_colours(same, "uniform", lambda latents: latents.new_full((len(latents), 6, 8, 3), 0.5))
    torch.testing.assert_close(colours[:, -1], torch.full((2, 3), 0.5))
    assert not colours[:, :-1].any() and (fit == 1).all()


def test_one_sample_alone_has_no_error_of_a_cell_and_must_be_there() -> None:
    summed, alone = (sum_steps(given, reading="evidence") for given in (made(), one_sample(made(), 2)))
    torch.testing.assert_close(alone.mean, summed.values[2])
    assert alone.variance is None
    with pytest.raises(ValueError, match="no noise sample 5"):
        one_sample(made(), 4)


@pytest.mark.parametrize("weighting", ["uniform", "information"])
@pytest.mark.parametrize(
    ("reading", "scalar"),
    [
        ("evidence", "channel norm"),
        ("absolute", "channel norm"),
        ("information", "channel norm"),
        ("difference", "channel norm"),
        ("difference", "channel mean"),
        ("combined", "channel norm"),
    ],
)
def test_page_and_python_say_the_same_of_every_reading(
    page_says: Callable[..., dict[str, Any]], reading: str, scalar: str, weighting: str
) -> None:
    predictions = made()
    said = page_says(predictions, reading=reading, scalar=scalar, weighting=weighting)
    summed = sum_steps(predictions, 1, 4, reading, weighting)
    heatmap = make_heatmap(read_map(summed, scalar), percentile=97, shared=False)
    np.testing.assert_allclose(said["values"], heatmap.values[1].flatten(), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(said["errors"], standard_error(summed, scalar)[1].flatten(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(said["levels"], heatmap.levels[1].flatten(), rtol=1e-4, atol=1e-5)
    assert said["limit"] == pytest.approx(heatmap.limits[1].item(), rel=1e-5)
    assert said["words"]["positive"] == heatmap.positive and said["unit"] == heatmap.unit
    evidence = sum_steps(predictions, 1, 4, "evidence", weighting)
    assert said["total"]["value"] == pytest.approx(evidence.total[1].item(), rel=1e-5)
    assert said["total"]["error"] == pytest.approx(evidence.total_error[1].item(), rel=1e-4)


@pytest.mark.parametrize("weighting", ["uniform", "information"])
@pytest.mark.parametrize("sign", ["both", "positive", "negative"])
@pytest.mark.parametrize(("reading", "scalar"), [("evidence", "channel norm"), ("difference", "channel mean")])
def test_page_and_legend_say_the_same_words(
    page_says: Callable[..., dict[str, Any]], reading: str, scalar: str, sign: str, weighting: str
) -> None:
    predictions = made()
    said = page_says(predictions, reading=reading, scalar=scalar, sign=sign, weighting=weighting, percentile=60)
    heatmap = make_heatmap(read_map(sum_steps(predictions, 1, 4, reading, weighting), scalar), percentile=60, shared=False)
    heatmap = show_only(heatmap, sign)
    assert tuple(said["key"]["ends"]) == end_texts(heatmap, "automatic")
    assert [text for text in said["key"]["numbers"] if text] == [text for _, text in scale_numbers(heatmap, 1)]
    assert said["source"] == f"{heatmap.quantity}, {heatmap.unit}"
    assert said["title"] == "“a “zebra” <b>” vs “horse”"
    evidence = read_map(sum_steps(predictions, 1, 4, "evidence", weighting))
    assert said["verdict"]["says"] == evidence.totals[1] and said["verdict"]["why"] == []
    assert said["recognition"] == evidence.familiarity[1]


@pytest.mark.parametrize(
    ("shape", "view"), [({}, {"sample": 2}), ({"samples": 1}, {}), ({"samples": 2, "antithetic": True}, {})], ids=str
)
@pytest.mark.parametrize(("fresh", "end"), [(True, 4), (True, 3), (False, 4)], ids=["three steps", "two steps", "one noise"])
def test_page_legend_and_verdict_know_alike_how_a_single_estimate_scatters(
    page_says: Callable[..., dict[str, Any]], shape: dict[str, Any], view: dict[str, int], fresh: bool, end: int
) -> None:
    predictions = made(**shape, fresh_noise=fresh)
    said = page_says(predictions, **view, end=end)
    alone = one_sample(predictions, view["sample"] - 1) if view else predictions
    summed, error = sum_steps(alone, 1, end, "evidence", "information"), judge(alone, 1, end).error
    total = read_map(summed).totals[1]
    if (fresh, end) == (True, 4):
        assert said["verdict"]["says"] == total and "±" in total
        assert said["total"]["error"] == pytest.approx(error[1].item(), rel=1e-4) == summed.total_error[1].item()
    else:
        assert with_reasons(said) == total and "standard error unknown" in total
        assert said["total"]["error"] is error is None and summed.total_error.isnan().all()


@pytest.mark.parametrize("reading", ["evidence", "information"])
@pytest.mark.parametrize(
    ("shape", "view"),
    [
        ({}, {}),
        ({"fresh_noise": False}, {}),
        ({"samples": 1}, {}),
        ({"samples": 1, "fresh_noise": False}, {}),
        ({"samples": 2, "antithetic": True}, {"end": 3}),
        ({"samples": 2, "antithetic": True, "steps": 9}, {"end": 8, "weighting": "uniform"}),
        ({}, {"sample": 2}),
    ],
    ids=str,
)
def test_a_box_tells_the_error_of_its_own_steps_as_the_whole_picture_does(
    page_says: Callable[..., dict[str, Any]], shape: dict[str, Any], view: dict[str, Any], reading: str
) -> None:
    predictions = made(**shape)
    said = page_says(predictions, reading=reading, selection="3,1,6,4", **view)
    alone = one_sample(predictions, view["sample"] - 1) if "sample" in view else predictions
    noised, steps = alone.noised, range(1, view.get("end", 4))
    weights = step_weights(noised, view.get("weighting", "information"))[1 : steps.stop]
    cells = torch.stack([read_step(alone, step, reading)[:, 1:, 0, 1:5, 3:7].sum((2, 3)) for step in steps], dim=1)
    totals = cells * weights[:, None]
    error = error_of_total(totals, weights, noised.log_snr[1 : steps.stop], noised.antithetic, noised.fresh_noise)
    assert said["part"]["value"] == pytest.approx(totals.sum(dim=1).mean().item(), rel=1e-4)
    if error is None:
        assert said["part"]["error"] is None and "standard error unknown. Take 4 samples or more" in said["part"]["says"]
    else:
        assert said["part"]["error"] == pytest.approx(error.item(), rel=1e-4) and "±" in said["part"]["says"]
    number = said["verdict"]["says"].removeprefix("Whole picture: ").partition(" nats")[0].partition(" noise variances")[0]
    assert reading != "evidence" or number in said["box"]


def test_a_cell_is_counted_per_cell_and_a_box_or_a_step_is_not(page_says: Callable[..., dict[str, Any]]) -> None:
    said = page_says(made())
    assert said["words"]["unit"] == "nats per latent cell"
    assert said["box"].startswith("Box of 48 cells: ") and said["box"].endswith(" nats")
    assert said["steps"][0] == "step 0 of 5: 1 nats"


def test_the_page_says_all_sentences_that_it_is_given_and_no_others() -> None:
    sentences = contents(overview(made(), pictures()))[0]["sentences"]
    script = "".join(file.read_text(encoding="utf-8") for file in EXPLORER.glob("*.js"))
    said = {name for choice in re.findall(r"\.say\(([^,]+),", script) for name in re.findall(r"'(\w+)'", choice)}
    assert said == set(sentences) - set(RECOGNITION)  # these are named by the run, see below
    assert all(sentence.strip() and sentence.count("{") == sentence.count("}") for sentence in sentences.values())


@pytest.mark.parametrize("words", [["zebu"], ["zebu", "okapi"]], ids=len)
def test_page_and_legend_say_alike_which_words_the_model_never_saw(
    page_says: Callable[..., dict[str, Any]], words: list[str]
) -> None:
    predictions = replace(made(), unseen=unknown_words_note(words), contrast_label=" ")
    said = page_says(predictions)
    assert said["recognition"] == sum_steps(predictions).familiarity[1] == predictions.unseen
    assert said["title"] == "“a “zebra” <b>” vs an unnamed prompt"
    header = contents(overview(predictions, pictures()))[0]
    assert all(sentence["name"].startswith("unknown_word") for sentence in header["familiarity"])  # which has translations


@pytest.mark.parametrize(
    "shape",
    [
        {"cells": (1, 1)},
        {"cells": (2, 70)},
        {"cells": (70, 2)},
        {"steps": 1},
        {"steps": 200},
        {"samples": 1},
        {"samples": 9},
        {"images": 5},
    ],
    ids=str,
)
def test_page_and_python_agree_on_every_size(page_says: Callable[..., dict[str, Any]], shape: dict[str, Any]) -> None:
    predictions = made(**shape)
    steps, image = predictions.noised.steps, predictions.noised.images
    start, end = (0, 1) if steps == 1 else (steps // 3, steps - 1)
    said = page_says(predictions, start=start, end=end, shown_image=image)
    summed = sum_steps(predictions, start, end, "evidence", "information")
    heatmap = make_heatmap(read_map(summed), percentile=97, shared=False)
    np.testing.assert_allclose(said["values"], heatmap.values[image - 1].flatten(), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(said["levels"], heatmap.levels[image - 1].flatten(), rtol=1e-3, atol=1e-4)
    assert said["note"] == heatmap.note(image - 1) and said["total"]["value"] == pytest.approx(
        summed.total[image - 1].item(), rel=1e-4
    )
    assert (said["errors"] is None) == (predictions.noised.samples == 1)
    assert (said["total"]["error"] is None) == summed.total_error.isnan().all()


@pytest.mark.parametrize(("fresh", "antithetic"), [(True, True), (False, False), (False, True)])
def test_page_and_python_agree_on_errors_for_every_kind_of_noise(
    page_says: Callable[..., dict[str, Any]], fresh: bool, antithetic: bool
) -> None:
    predictions = made(fresh_noise=fresh, antithetic=antithetic)
    said, summed = page_says(predictions), sum_steps(predictions, 1, 4, "evidence", "information")
    np.testing.assert_allclose(said["errors"], summed.variance[1].sum(0).sqrt().flatten(), rtol=1e-4)
    assert said["total"]["error"] == pytest.approx(summed.total_error[1].item(), rel=1e-4)


@pytest.mark.parametrize("weighting", ["uniform", "information"])
@pytest.mark.parametrize("end", [9, 5], ids=["four steps", "two steps"])
def test_page_and_legend_know_alike_how_few_steps_scatter(
    page_says: Callable[..., dict[str, Any]], end: int, weighting: str
) -> None:
    """And the first of them is pure noise, as of flow models: it has no share, and an equal weight."""
    predictions = part_of(made(samples=2, antithetic=True, steps=9), (0, 2, 5, 7), 2)
    noised = replace(predictions.noised, alphas=torch.tensor([0.0, *[1.0] * 8]))
    predictions = replace(predictions, noised=noised)
    said = page_says(predictions, start=0, end=end, weighting=weighting)
    summed = sum_steps(predictions, 0, end, "evidence", weighting)
    assert with_reasons(said) == read_map(summed).totals[1]
    note = page_says(predictions, start=0, end=1, weighting=weighting, reading="information")["note"]
    assert note == make_heatmap(read_map(sum_steps(predictions, 0, 1, "information", weighting))).note(1)
    assert note.startswith("Pure noise alone") == bool(note) == (weighting == "information")
    assert ("±" in said["verdict"]["says"]) == (end == 9)
    assert (said["total"]["error"] or 0) == pytest.approx(summed.total_error.nan_to_num()[1].item(), rel=1e-4)


def with_reasons(said: dict[str, Any]) -> str:
    """The total with its tooltip, as a legend has them in one paragraph."""
    says, why = said["verdict"]["says"], said["verdict"]["why"]
    return ". ".join([says, *why]) + "." * bool(why)


@pytest.mark.parametrize("reading", ["evidence", "information"])
@pytest.mark.parametrize(("start", "end"), [(0, 9), (0, 5), (3, 6)])
@pytest.mark.parametrize("sample", [0, 2])
def test_page_legend_and_verdict_tell_alike_what_is_assumed(
    page_says: Callable[..., dict[str, Any]], start: int, end: int, sample: int, reading: str
) -> None:
    predictions = part_of(made(steps=9), (2, 4, 6), 4)
    alone = one_sample(predictions, sample - 1) if sample else predictions
    said = page_says(predictions, start=start, end=end, sample=sample, reading=reading, selection="3,1,6,4")
    nats = assumed_parts(judge(alone, start, end)).sum(dim=0)[1].item()
    assert said["total"]["assumed"] == pytest.approx(nats, rel=1e-4)
    total = read_map(sum_steps(alone, start, end, "evidence", "information")).totals[1]
    assert with_reasons(said) == total and ("of them assumed" in total) == ((start, end) != (3, 6))
    parts = assumed_of_shares(alone.noised.log_snr, alone.noised.asked) * alone.noised.step_shares
    cells = [parts[step] * read_step(alone, step, reading)[:, 1, 0, 1:5, 3:7].sum((1, 2)).mean() for step in range(start, end)]
    assert said["part"]["assumed"] == pytest.approx(sum(cells).item(), rel=1e-4, abs=1e-6)
    assert ("of them assumed" in said["part"]["says"]) == ("of them assumed" in said["box"]) == ((start, end) != (3, 6))


def test_a_cell_a_step_and_places_tell_what_is_assumed_too(page_says: Callable[..., dict[str, Any]]) -> None:
    predictions = part_of(made(steps=9), (2, 4, 6), 4)
    said = page_says(predictions, start=0, end=9, reading="information", selection="5,2")
    share = assumed_of_shares(predictions.noised.log_snr, predictions.noised.asked)
    alone = sum_steps(predictions, 0, 9, "information", "information")
    ends = sum(
        share[step] * predictions.noised.step_shares[step] * read_step(predictions, step, "information") for step in (2, 6)
    )
    assert said["part"]["value"] == pytest.approx(alone.mean[1, 0, 2, 5].item(), rel=1e-4)
    assert said["part"]["assumed"] == pytest.approx(ends[:, 1, 0, 2, 5].mean().item(), rel=1e-4)
    assert said["part"]["says"].endswith(f"{format_value(said['part']['assumed'])} of them assumed")
    assert said["steps"][2].endswith(f": 1 nats, {format_value(share[2].item())} of them assumed")
    assert said["steps"][4].endswith(": 1 nats") and said["steps"][3].endswith("not asked")


def test_nothing_is_assumed_of_a_file_of_an_older_version(tmp_path: Path, page_says: Callable[..., dict[str, Any]]) -> None:
    """Nor of one whose steps were all asked."""
    from safetensors.torch import load, save

    predictions = part_of(made(steps=9), (2, 4, 6), 4)
    whole, said = page_says(made(steps=9), start=0, end=9), page_says(predictions, start=0, end=9)
    assert whole["total"]["assumed"] == 0 and "assumed" not in json.dumps(whole).replace('"assumed": 0', "")
    header, arrays = contents((tmp_path / "overview").read_bytes())[0], load((tmp_path / "overview").read_bytes())
    del arrays["assumed"], header["worth_telling"], header["sentences"]["assumed"], header["sentences"]["why_assumed"]
    metadata = listed((tmp_path / "overview").read_bytes())["__metadata__"] | {"header": json.dumps(header)}
    (tmp_path / "overview").write_bytes(save(arrays, metadata))
    old = page_of(tmp_path, VIEW | {"start": 0, "end": 9})
    assert old["total"] == said["total"] | {"assumed": 0} and old["values"] == said["values"]
    assert old["verdict"]["says"] == said["verdict"]["says"].partition(" of them")[0].rpartition(", ")[0]


@pytest.mark.parametrize(
    ("reading", "scalar"), [("evidence", "channel norm"), ("difference", "channel norm"), ("difference", "channel mean")]
)
@pytest.mark.parametrize("reliability", ["reliable only", "standard errors"])
@pytest.mark.parametrize("threshold", [1.2345, 40.0])
def test_page_and_python_agree_on_which_cells_are_reliable(
    page_says: Callable[..., dict[str, Any]], reading: str, scalar: str, reliability: str, threshold: float
) -> None:
    predictions = made(samples=6)
    changes = {"reading": reading, "scalar": scalar, "reliability": reliability, "threshold": threshold}
    said = page_says(predictions, **changes)
    summed = sum_steps(predictions, 1, 4, reading, "information")
    heatmap = make_heatmap(read_map(summed, scalar), percentile=97, shared=False, reliability=reliability, threshold=threshold)
    np.testing.assert_allclose(said["values"], heatmap.values[1].flatten(), rtol=1e-3, atol=1e-5)
    assert (said["finding"], said["note"]) == (heatmap.reliability[1], heatmap.note(1))
    assert said["unit"] == heatmap.unit


def test_page_and_python_agree_on_one_sample_and_one_side(page_says: Callable[..., dict[str, Any]]) -> None:
    predictions = made()
    said = page_says(predictions, sample=3, sign="negative", end=-1)
    heatmap = make_heatmap(
        read_map(sum_steps(one_sample(predictions, 2), 1, None, "evidence", "information")), percentile=97, shared=False
    )
    np.testing.assert_allclose(said["levels"], show_only(heatmap, "negative").levels[1].flatten(), rtol=1e-4, atol=1e-5)
    assert said["errors"] is None


def test_equal_predictions_are_said_to_be_no_difference(page_says: Callable[..., dict[str, Any]]) -> None:
    predictions = made()
    same = NoisePredictions(predictions.noised, predictions.target, predictions.target, "zebra", "zebra")
    said = page_says(same)
    assert said["limit"] == 0 and not any(said["values"])
    heatmap = make_heatmap(read_map(sum_steps(same, reading="evidence")), shared=False)
    assert said["note"] == heatmap.note(0)
    assert said["verdict"]["says"] == heatmap.totals[0] == "Whole picture: no evidence either way"


def test_the_mean_alone_gives_the_same_map_and_errors(
    page_says: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    predictions = made()
    monkeypatch.setattr("sdexplain.nodes.maths.files.explorer.MOST_VALUES", 100)
    said, summed = page_says(predictions, reading="difference"), sum_steps(predictions, 1, 4, "difference", "information")
    np.testing.assert_allclose(said["values"], scalar_map(summed, "channel norm")[1].flatten(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(said["errors"], standard_error(summed, "channel norm")[1].flatten(), rtol=1e-4)
    said = page_says(predictions)  # of all samples only the whole picture's totals are known
    assert said["verdict"]["says"].split()[2:5] == said["box"].replace("−", "").split()[4:7]
