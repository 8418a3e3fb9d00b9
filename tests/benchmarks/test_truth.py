"""The benchmark end to end, on a tiny untrained model: what it asks, what it keeps, and what its measures mean."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from sdexplain.benchmarks import truth
from sdexplain.benchmarks.ground_truth import answers
from sdexplain.benchmarks.ground_truth import classifier as classifiers
from sdexplain.benchmarks.ground_truth.attributions import VARIANTS
from sdexplain.benchmarks.ground_truth.cases import MEASURED_SIZE, Case, cases, twins
from sdexplain.benchmarks.ground_truth.choose import choose
from sdexplain.benchmarks.ground_truth.collect import collect
from sdexplain.benchmarks.ground_truth.cost import cheapest, evenly
from sdexplain.benchmarks.ground_truth.maps import Recipe, candidates, parts_of
from sdexplain.benchmarks.ground_truth.measure import AIMS, BUDGETS, MEASURES, Target, verdicts
from sdexplain.benchmarks.ground_truth.measured import Results
from sdexplain.benchmarks.ground_truth.questions import (
    Extent,
    Question,
    Setting,
    both_labels,
    fingerprint_of,
    in_turns,
    parts,
)
from sdexplain.benchmarks.ground_truth.report import tables
from sdexplain.benchmarks.ground_truth.stored import Stored, select
from sdexplain.bundled.scenes import PAIRS
from sdexplain.training.architecture import build_pipeline, build_unet, build_vae, save_pipeline

pytestmark = pytest.mark.slow  # networks of diffusers and hundreds of questions

STEPS = 2
EXTENT = Extent(report=1, choice=1, deep=1, seed=0)
QUICK = [variant for variant in VARIANTS if variant.method == "Grad-CAM 16"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline of the bundled one's kind that knows nothing, for pictures of 128 pixels."""
    torch.manual_seed(0)
    unet = build_unet(widths=(8, 16), heads=2, groups=4)
    unet.register_to_config(sample_size=16)
    folder = tmp_path_factory.mktemp("model")
    save_pipeline(build_pipeline(build_vae(widths=(4, 4, 8, 8), groups=4), unet), folder, torch.float32)
    return folder


@pytest.fixture(scope="module")
def setting(model: Path) -> Setting:
    return Setting(model, STEPS, fingerprint_of(model))


@pytest.fixture(scope="module")
def output(setting: Setting, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all answers, and a classifier that was never trained."""
    folder = tmp_path_factory.mktemp("output")
    asked = collect(setting, parts(EXTENT), folder / "answers", workers=1)
    assert asked == sum(q.evaluations(setting) for jobs in parts(EXTENT).values() for job in jobs for q in job)
    accuracy = {"all": 1 / 6}
    classifiers.save(classifiers.Classifier(), folder / "classifier.safetensors", {"accuracy": accuracy})
    return folder


@pytest.fixture(scope="module")
def stored(setting: Setting, output: Path) -> Stored:
    return Stored(setting, output / "answers")


@pytest.fixture(scope="module")
def results(setting: Setting, output: Path) -> Results:
    return truth.measure(setting, EXTENT, output / "classifier.safetensors", output, workers=1, variants=QUICK)


@pytest.fixture
def case() -> Case:
    return cases("report", 1, 0)[0]


def stamps(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.*")}


# ---------------------------------------------------------------------------------------------------- what is asked, once


def test_what_is_answered_is_not_asked_again(setting: Setting, output: Path) -> None:
    before = stamps(output / "answers")
    assert collect(setting, parts(EXTENT), output / "answers", workers=1) == 0
    assert stamps(output / "answers") == before


def test_a_lost_or_damaged_answer_alone_is_asked_again_and_comes_out_the_same(
    setting: Setting, output: Path, stored: Stored, case: Case
) -> None:
    lost, damaged = Question(case, case.label), Question(case, case.twin)
    before = {question: stored.read(question)["predictions"].clone() for question in (lost, damaged)}
    (stored.folder / lost.file).unlink()
    (stored.folder / damaged.file).write_bytes((stored.folder / damaged.file).read_bytes()[:1000])
    assert stored.read(lost) is None
    assert stored.read(damaged) is None
    assert collect(setting, parts(EXTENT), output / "answers", workers=1) == 2 * 2 * STEPS
    for question, predictions in before.items():
        assert torch.allclose(stored.read(question)["predictions"], predictions, atol=1e-6)


@pytest.mark.parametrize("changed", [{"fingerprint": "of another model"}, {"steps": STEPS + 1}])
def test_answers_of_another_model_or_schedule_are_refused(stored: Stored, case: Case, changed: dict) -> None:
    stale = dataclasses.replace(stored, setting=dataclasses.replace(stored.setting, **changed))
    assert stored.read(Question(case, case.label)) is not None
    assert stale.read(Question(case, case.label)) is None


def test_the_fingerprint_is_that_of_the_files_contents(model: Path, setting: Setting) -> None:
    (model / "README.md").write_text("words", encoding="utf-8")
    assert fingerprint_of(model) == setting.fingerprint
    config = model / "unet" / "config.json"
    before = config.read_bytes()
    config.write_bytes(before + b" ")
    assert fingerprint_of(model) != setting.fingerprint
    config.write_bytes(before)


def test_an_answer_is_whole_or_not_there(tmp_path: Path) -> None:
    answers.write(tmp_path / "deep" / "one.safetensors", {"x": torch.ones(2)}, "key")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["one.safetensors"]
    assert torch.equal(answers.read(tmp_path / "deep" / "one.safetensors", "key")["x"], torch.ones(2))
    assert answers.read(tmp_path / "deep" / "one.safetensors", "another key") is None


def test_splits_and_seeds_share_no_scene() -> None:
    taken = [{case.seed for case in cases(split, 300, seed)} for split in ("choice", "report") for seed in (0, 1)]
    assert sum(map(len, taken)) == len(set().union(*taken))


def test_twins_share_their_noise_and_scenes_do_not(setting: Setting) -> None:
    (a, b), (other, _), *_ = twins(cases("report", 1, 0))
    noise = [setting.noise(Question(case, "rat")) for case in (a, b, other)]
    assert torch.equal(noise[0], noise[1])
    assert not torch.equal(noise[0], noise[2])
    assert torch.equal(noise[0][1], -noise[0][0])


def test_diffedit_draws_other_noise_when_it_is_asked_again(stored: Stored, case: Case) -> None:
    first, again, other = stored.mask(case, 5), stored.mask(case, 5, draw=1), stored.mask(case, 10)
    assert not torch.allclose(first["soft"], again["soft"])
    assert not torch.allclose(first["soft"], other["soft"])


def test_more_samples_leave_the_first_as_they_are(setting: Setting, case: Case) -> None:
    few, more = (setting.noise(Question(case, "rat", samples)) for samples in ((0, 4), (2, 8)))
    assert torch.equal(few[2:], more[:2])


def test_all_parts_advance_evenly() -> None:
    jobs = {"long": [["a"]] * 100, "short": [["b"]] * 10}
    order = in_turns(jobs)
    assert len(order) == 110
    assert 4 <= sum(job == ["b"] for job in order[:55]) <= 6


def test_steps_even_in_log_snr_keep_the_ends(setting: Setting) -> None:
    many = dataclasses.replace(setting, steps=25)
    even, spaced = many.timesteps("time"), many.timesteps("information")
    assert (spaced[0], spaced[-1]) == (even[0], even[-1])
    gaps = {name: many.sigmas(name).log().diff() for name in ("time", "information")}
    assert gaps["information"].std() < 0.3 * gaps["time"].std()


# ------------------------------------------------------------------------------------------------ what the measures mean


@pytest.fixture
def target(case: Case) -> Target:
    return Target.of(case, everywhere=np.ones((MEASURED_SIZE, MEASURED_SIZE)) + case.truth())


def test_a_planted_perfect_map_gets_everything(target: Target) -> None:
    measured = dict(zip(MEASURES, target.measure(target.truth.astype(np.float32)), strict=True))
    assert measured == pytest.approx(dict.fromkeys(MEASURES, 1.0))
    assert target.aims(target.truth.astype(np.float32)) == pytest.approx([1.0] * len(AIMS))


def test_the_silhouette_earns_nothing_inside_the_object(target: Target) -> None:
    measured = dict(zip(MEASURES, target.measure(target.inside.astype(np.float32)), strict=True))
    assert measured["inside"] == pytest.approx(0.5)
    assert measured["auroc"] > 0.8


def test_the_aims_are_those_of_all_measures(target: Target) -> None:
    values = np.random.default_rng(0).random(target.truth.shape).astype(np.float32) + 0.2 * target.truth
    measured = dict(zip(MEASURES, target.measure(values), strict=True))
    assert target.aims(values) == pytest.approx([measured[aim] for aim in AIMS])


def test_present_and_absent_features_are_measured_apart(target: Target) -> None:
    measured = dict(zip(MEASURES, target.measure(target.present.astype(np.float32)), strict=True))
    assert measured["present"] == 1
    assert measured["absent"] == pytest.approx(0.5)


def test_swapping_the_labels_flips_the_evidence_and_no_other_map(stored: Stored, case: Case) -> None:
    there, back = stored.predictions(case, case.label, case.twin), stored.predictions(case, case.twin, case.label)
    for recipe in candidates(STEPS):
        sign = -1 if recipe.name == "evidence" else 1
        assert np.allclose(recipe.draw(there), sign * recipe.draw(back), atol=1e-6)


def test_the_parts_of_the_schedule_add_up(stored: Stored, case: Case) -> None:
    predictions = stored.predictions(case, case.label, case.twin)
    for name in ("evidence", "information", "sum of magnitudes"):
        whole, parts_ = (sum(Recipe(name, *part).cells(predictions) for part in some) for some in ([(0, STEPS)], parts_of(STEPS)))
        assert torch.allclose(whole, parts_, rtol=1e-4, atol=1e-6)


def test_many_samples_begin_with_the_few(stored: Stored, case: Case) -> None:
    few, many = (stored.predictions(case, case.label, case.twin, samples) for samples in (2, 16))
    first = select(many, [0, 1], range(STEPS))
    assert torch.equal(first.target, few.target)
    assert torch.equal(first.noised.noise, few.noised.noise)
    assert first.noised.antithetic and not select(many, [0, 2], range(STEPS)).noised.antithetic


def test_steps_are_taken_evenly_and_no_more_than_there_are() -> None:
    assert evenly(0, 25, 1) == [12]
    assert evenly(0, 25, 25) == list(range(25))
    assert evenly(5, 10, 9) == [5, 6, 7, 8, 9]


def test_the_cheapest_way_to_a_goal() -> None:
    assert cheapest([(10, 0.5), (20, 0.9), (40, 0.95)], 0.9) == 20
    assert cheapest([(10, 0.5)], 0.9) is None


def test_the_choice_takes_the_best_of_the_choice_scenes() -> None:
    best = candidates(STEPS)[7]
    aims = {repr(recipe): [0.9 if recipe == best else 0.5] * len(AIMS) for recipe in candidates(STEPS)}
    picture = {"aims": aims, "log_odds": dict.fromkeys(BUDGETS, 1.0)}
    records = [{"pair": pair, "seed": 0, "pictures": {label: picture for label in pair}} for pair in PAIRS]
    choice = choose([*records, {}], STEPS)
    assert choice.recipes[0] == best
    assert {recipe.name for recipe in choice.recipes} == {recipe.name for recipe in candidates(STEPS)}
    assert set(choice.temperatures.values()) == {None}
    with pytest.raises(ValueError, match="None of the choice scenes has been asked about"):
        choose([{}], STEPS)


# ------------------------------------------------------------------------------------------------------- the bundled model


def test_the_bundled_model_s_maps_are_true(tmp_path: Path) -> None:
    folder = truth.ROOT / "bundled" / "model"
    bundled = Stored(Setting(folder, 3, fingerprint_of(folder)), tmp_path)
    shown = cases("report", 1, seed=1)
    collect(bundled.setting, {"few": [both_labels(case) for case in shown]}, tmp_path, workers=1)
    predictions = [bundled.predictions(case, case.label, case.twin) for case in shown]
    targets = [Target.of(case, everywhere=np.ones((MEASURED_SIZE, MEASURED_SIZE)) + case.truth()) for case in shown]
    maps = [Recipe("sum of magnitudes", 0, 3).draw(p) for p in predictions]
    inside, _, iou, pointing = np.mean([target.aims(values) for target, values in zip(targets, maps, strict=True)], axis=0)
    assert inside > 0.68
    assert iou > 0.35
    assert pointing > 0.8
    assert np.mean([verdicts(p)["all steps, a pair"] > 0 for p in predictions]) > 0.8


# ------------------------------------------------------------------------------------------------------------ the report


def test_the_report_has_every_table_and_figure(results: Results, stored: Stored, tmp_path: Path) -> None:
    truth.write(results, {"all": 1 / 6}, stored, tmp_path)
    report = (tmp_path / "report.md").read_text(encoding="utf-8")
    for table in tables(results):
        assert table.title in report
        assert (tmp_path / f"{table.name}.csv").stat().st_size
        assert len({len(row) for row in table.rows} | {len(table.head)}) == 1
    for name in ("DiffEdit, mask", "silhouette of the object", "Grad-CAM", "evidence", "taxi"):
        assert name in report
    pictures = {path.stem for path in tmp_path.glob("*.png")}
    assert pictures == {"methods", "ranges", "present_absent", "cost", "calibration", "verdicts", "worst"}


def test_what_was_measured_is_not_measured_again(results: Results, setting: Setting, output: Path) -> None:
    before = stamps(output / "records")
    again = truth.measure(setting, EXTENT, output / "classifier.safetensors", output, workers=1, variants=QUICK)
    assert stamps(output / "records") == before
    assert str(again.records) == str(results.records)  # as text: NaN is no other NaN's equal


def test_a_map_is_no_better_than_itself(results: Results) -> None:
    name = next(iter(results.measures))
    assert all(at.value == 0 for at in results.difference(name, name).values())


def test_measuring_without_answers_says_what_to_do(setting: Setting, output: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Run the collection first"):
        truth.measure(setting, EXTENT, output / "classifier.safetensors", tmp_path, workers=1, variants=QUICK)


@pytest.mark.parametrize("wrong", [{"deep": 2}, {"choice": 0}, {"seed": -1}, {"deep": 0}])
def test_an_impossible_extent_is_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match="expected at least 1 each"):
        dataclasses.replace(EXTENT, **wrong)
