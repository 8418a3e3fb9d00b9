"""Files of predictions: what is read is what was written, and every other file is refused in words."""

from __future__ import annotations

import errno
import json
import re
import resource
import runpy
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch
from analytic import Gaussians, as_flow, noised_latents, wrapped
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from sdexplain.nodes.maths.answers.verdict import judge
from sdexplain.nodes.maths.files import archive
from sdexplain.nodes.maths.method.cases import Cases
from sdexplain.nodes.maths.method.choices import EVIDENCE_IN_NATS
from sdexplain.nodes.maths.method.difference import sum_steps
from sdexplain.nodes.maths.method.noising import NoisedLatents, draw_noise
from sdexplain.nodes.maths.method.own_pictures import OwnPictures
from sdexplain.nodes.maths.method.prediction import NoisePredictions, collect
from sdexplain.nodes.maths.pictures.sheet import step_sheet
from torch import Tensor

GAUSSIANS = Gaussians(torch.tensor([0.5, -0.3, 0.1, 0.0]), torch.tensor([-0.5, 0.3, 0.0, 0.2]), 0.8)
METHOD = Path(__file__).resolve().parents[2] / "docs" / "method.md"
FINGERPRINTS = {"model": "ab" * 32, "target": "cd" * 32, "contrast": "ef" * 32}


def predictions(samples: int = 2, per_step: bool = True, family: str = "eps") -> NoisePredictions:
    x0 = torch.randn(2, 4, 3, 5, generator=torch.Generator().manual_seed(1))
    noised = noised_latents(x0, samples=samples, steps=4, per_step=per_step)
    noised = replace(as_flow(noised) if family == "flow" else noised, downscale=16)
    made = collect(noised, wrapped(GAUSSIANS, family), target_label="zebra", contrast_label="horse")
    return replace(made, fingerprints=FINGERPRINTS)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "zebra.safetensors"
    archive.write(path, archive.pack(predictions()))
    return path


def saved(tmp_path: Path, made: NoisePredictions, precision: archive.Precision = "float32") -> NoisePredictions:
    path = tmp_path / "again.safetensors"
    archive.write(path, archive.pack(made, precision))
    return archive.read(path)


def same(first: object, second: object) -> bool:
    if isinstance(first, Tensor):
        return first.dtype == second.dtype and torch.equal(first, second)
    return type(first) is type(second) and first == second


def assert_same(first: NoisePredictions, second: NoisePredictions) -> None:
    for part in fields(NoisedLatents):
        assert same(getattr(first.noised, part.name), getattr(second.noised, part.name)), part.name
    for part in fields(NoisePredictions):
        if part.name != "noised":
            assert same(getattr(first, part.name), getattr(second, part.name)), part.name


# -------------------------------------------------------------------------------------------------------- what is written


@pytest.mark.parametrize("family", ["eps", "flow"])
@pytest.mark.parametrize("per_step", [True, False])
@pytest.mark.parametrize("samples", [1, 3])
def test_everything_comes_back_to_the_last_bit(tmp_path: Path, samples: int, per_step: bool, family: str) -> None:
    made = predictions(samples, per_step, family)
    assert_same(saved(tmp_path, made), made)


def test_switches_of_the_noised_latents_come_back(tmp_path: Path) -> None:
    made = predictions()
    switches = [part.name for part in fields(NoisedLatents) if part.type == "bool"]
    if not switches:
        pytest.skip("the noised latents have no switch")
    x0, noise = made.noised.x0, made.noised.noise
    flipped = replace(made.noised, x0=x0, noise=torch.stack([noise[0], -noise[0]]), **dict.fromkeys(switches, True))
    back = saved(tmp_path, replace(made, noised=flipped)).noised
    assert all(getattr(back, name) is True for name in switches)


@given(target=st.text(max_size=60), contrast=st.text(alphabet=st.characters(categories=("Cs", "Cc", "Cf", "So"))))
@settings(max_examples=60, deadline=None)
def test_labels_of_any_text_come_back(tmp_path_factory: pytest.TempPathFactory, target: str, contrast: str) -> None:
    made = replace(predictions(1), target_label=target, contrast_label=contrast)
    back = saved(tmp_path_factory.mktemp("labels"), made)
    # two surrogates beside each other are the character that they stand for
    expected = [label.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass") for label in (target, contrast)]
    assert [back.target_label, back.contrast_label] == expected


def test_what_the_model_made_of_its_own_pictures_comes_back(tmp_path: Path) -> None:
    own = OwnPictures(240, (-0.35, 1.15), (0.17, 0.2, 0.28, 0.37, 0.44), (0.2, 0.26, 0.35, 0.42, 0.46))
    made = predictions()
    assert saved(tmp_path, made).own_pictures is None
    assert saved(tmp_path, replace(made, own_pictures=own)).own_pictures == own
    assert "Image 1: " in archive.describe(made)


def test_what_keeps_an_answer_from_being_sure_comes_back(tmp_path: Path) -> None:
    """Whether the words fit at all, and what log-odds are divided by: loaded predictions are no surer than the unsaved ones."""
    made = predictions()
    assert saved(tmp_path, made).cases is None and saved(tmp_path, made).temperature is None
    lost = Cases(torch.tensor([-90.0, 3.1]), torch.tensor([-80.0, 1.5]), torch.tensor([2.0, 0.5]), None, "one", "other")
    loaded = saved(tmp_path, replace(made, cases=lost, temperature=13.63))
    assert loaded.temperature == 13.63 and loaded.cases is not None
    assert judge(loaded).strange.tolist() == judge(replace(made, cases=lost)).strange.tolist()
    for field in fields(Cases):
        was, now = getattr(lost, field.name), getattr(loaded.cases, field.name)
        assert torch.equal(was, now) if isinstance(was, torch.Tensor) else was == now


def test_one_array_for_both_prompts_can_be_saved(tmp_path: Path) -> None:
    made = predictions()
    assert_same(saved(tmp_path, replace(made, contrast=made.target)), replace(made, contrast=made.target))


def test_arrays_that_are_parts_of_others_or_lie_askew_can_be_saved(tmp_path: Path) -> None:
    made = predictions()
    both = torch.stack([made.target, made.contrast], dim=-1)
    askew = replace(made, target=both[..., 0], contrast=both[..., 1])
    assert_same(saved(tmp_path, askew), made)
    both = torch.stack([made.target, made.contrast])
    assert_same(saved(tmp_path, replace(made, target=both[0], contrast=both[1])), made)


def test_what_was_kept_in_half_precision_stays_so(tmp_path: Path) -> None:
    made = predictions(samples=8)
    half = replace(made, target=made.target.half(), contrast=made.contrast.half())
    for precision in ("float32", "float16"):
        assert_same(saved(tmp_path, half, precision), half)
    assert len(archive.pack(half)) == len(archive.pack(made, "float16"))


def test_sums_and_sheets_of_loaded_predictions_are_those_of_the_unsaved(tmp_path: Path) -> None:
    made = predictions()
    back = saved(tmp_path, made)
    for reading in ("difference", "absolute", "information", "evidence"):
        assert torch.equal(sum_steps(back, 1, 3, reading).values, sum_steps(made, 1, 3, reading).values)
    picture = torch.rand(1, 48, 80, 3)
    assert torch.equal(*(step_sheet(picture, of, 2, EVIDENCE_IN_NATS) for of in (made, back)))


def test_float16_halves_the_predictions_and_rounds_them_to_eleven_bits(tmp_path: Path) -> None:
    made = predictions(samples=8)
    back = saved(tmp_path, made, "float16")
    for whole, rounded in ((made.target, back.target), (made.contrast, back.contrast)):
        assert rounded.dtype == torch.float16 and not torch.equal(whole, rounded)
        # half of the last of 11 bits; below 2^-14 the steps stay 2^-24
        assert ((whole - rounded).abs() <= torch.clamp(whole.abs() * 2**-11, min=2**-25)).all()
    assert torch.equal(back.noised.noise, made.noised.noise)
    saving = len(archive.pack(made)) - len(archive.pack(made, "float16"))
    assert abs(saving - 2 * 2 * made.target.numel()) < 64


def test_float16_is_refused_where_it_overflows() -> None:
    made = predictions()
    with pytest.raises(ValueError, match="too large for float16 .*float32"):
        archive.pack(replace(made, target=made.target * 1e6), "float16")
    with pytest.raises(ValueError, match="precision is 'int8'; expected one of float32, float16"):
        archive.pack(made, "int8")


def test_the_metadata_tells_other_programs_what_the_file_is(file: Path) -> None:
    made = predictions()
    with safe_open(file, "pt") as opened:
        told = opened.metadata()
    assert json.loads(told["labels"]) == {"target": "zebra", "contrast": "horse"}
    assert json.loads(told["fingerprints"]) == FINGERPRINTS
    assert torch.equal(torch.tensor(json.loads(told["sigmas"])), made.noised.sigmas)
    assert torch.equal(torch.tensor(json.loads(told["log_snr"])), made.noised.log_snr)
    assert told["version"] == "1"


def test_the_docs_find_the_verdict_of_a_file_without_the_pack(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", METHOD.read_text(encoding="utf-8"), re.DOTALL)
    made = predictions(samples=4)
    noise = draw_noise((4, 3, 5), 0, 4, 4, per_step=True, antithetic=True)
    noised = replace(made.noised, noise=noise, antithetic=True, alphas=torch.tensor([0.0, 1, 1, 1]))  # pure noise at first
    made = replace(made, noised=noised)
    archive.write(tmp_path / "predictions.safetensors", archive.pack(made))
    program = tmp_path / "by_hand.py"
    program.write_text(re.sub(r'load_file\(".*?"\)', f"load_file({str(tmp_path / 'predictions.safetensors')!r})", code), "utf-8")
    found, verdict = runpy.run_path(str(program)), judge(made)
    torch.testing.assert_close(found["log_odds"], verdict.log_odds, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found["error"], verdict.error, rtol=1e-4, atol=1e-4)
    summed = sum_steps(made, reading="evidence", weighting="information")
    torch.testing.assert_close(found["heatmap"], summed.mean[:, 0], rtol=1e-4, atol=1e-4)


def test_what_is_in_a_file_can_be_said_in_words() -> None:
    words = archive.describe(predictions())
    for part in ("“zebra” vs “horse”", "2 noise samples, 4 steps, 2 images", "5×3 cells", "14.6 to 0.03", "ab" * 32):
        assert part in words


# -------------------------------------------------------------------------------------------------- what must not be read


def refused(path: Path) -> str:
    with pytest.raises(ValueError) as error:  # a SafetensorError is none
        archive.read(path)
    assert path.name in str(error.value)
    return str(error.value)


def test_a_file_cut_anywhere_is_refused(file: Path) -> None:
    whole = file.read_bytes()
    for cut in sorted({*range(0, len(whole), 512), *range(12), len(whole) - 1}):
        file.write_bytes(whole[:cut])
        assert "truncated or damaged" in refused(file)


def test_a_file_with_something_behind_it_is_refused(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"\0")
    assert "truncated or damaged" in refused(file)


def test_a_flipped_bit_in_the_header_is_refused(file: Path) -> None:
    whole = file.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    for position in range(header):
        flipped = bytearray(whole)
        flipped[position] ^= 1 << position % 8
        file.write_bytes(flipped)
        words = refused(file)
        assert any(remedy in words for remedy in ("Copy the file again", "Save Noise Predictions wrote", "Update SDExplain"))


def test_a_flipped_bit_in_the_values_is_refused(file: Path) -> None:
    whole = file.read_bytes()
    for position in range(len(whole) - 1, len(whole) // 2, -997):
        flipped = bytearray(whole)
        flipped[position] ^= 16
        file.write_bytes(flipped)
        assert "checksum" in refused(file)


def rewritten(file: Path, tensors: dict[str, Tensor] | None = None, **metadata: str) -> None:
    """The file with other content, and the checksum that belongs to it."""
    with safe_open(file, "pt") as opened:
        told = {**opened.metadata(), **metadata}
    content = {**load_file(file), **(tensors or {})}
    content = {name: tensor.clone() for name, tensor in content.items()}
    save_file(content, file, told | {"checksum": archive.checksum(content, told)})


def test_a_newer_file_is_refused_with_both_versions(file: Path) -> None:
    rewritten(file, version="3")
    words = refused(file)
    assert "format version 3" in words and "up to 2" in words and "Update SDExplain" in words


@pytest.mark.parametrize("version", ["", "one", "-1", "٢", "9" * 5000])
def test_a_version_that_is_none_is_refused(file: Path, version: str) -> None:
    rewritten(file, version=version)
    assert "version" in refused(file)


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    for name, content in (("checkpoint", {"weight": torch.ones(3)}), ("empty", {})):
        save_file(content, tmp_path / f"{name}.safetensors", {"format": "pt"})
        assert "another kind of safetensors file" in refused(tmp_path / f"{name}.safetensors")
    save_file({"weight": torch.ones(3)}, tmp_path / "bare.safetensors")
    assert "another kind of safetensors file" in refused(tmp_path / "bare.safetensors")
    for name, content in (("picture", b"\x89PNG\r\n" * 100), ("pickle", b"\x80\x04\x95" * 50), ("nothing", b"")):
        (tmp_path / f"{name}.safetensors").write_bytes(content)
        assert "truncated or damaged" in refused(tmp_path / f"{name}.safetensors")
    assert "can't be read" in refused(tmp_path / "absent.safetensors")
    (tmp_path / "folder.safetensors").mkdir()
    assert "can't be read" in refused(tmp_path / "folder.safetensors")


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"labels": "{}"}, "target"),
        ({"labels": "[]"}, "does not hold"),
        ({"labels": "not JSON"}, "Expecting value"),
        ({"fingerprints": "7"}, "does not hold"),
        ({"noised": '{"downscale": "8"}'}, "downscale is 8; expected true, false or a whole number"),
        ({"noised": '{"downscale": 0}'}, "downscale is 0"),
        ({"noised": '{"colour": 3}'}, "colour"),
        ({"temperature": "0"}, "expected a number above 0"),
        ({"temperature": '"warm"'}, "could not convert"),
        ({"cases": "{}"}, "target"),
        (
            {"cases": '{"target": [1], "contrast": [1, 2], "target_error": null, "contrast_error": null}'},
            "one for each of 2 images",
        ),
    ],
)
def test_a_well_formed_file_with_other_metadata_is_refused(file: Path, metadata: dict[str, str], words: str) -> None:
    rewritten(file, **metadata)
    assert words in refused(file)


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({"target": torch.zeros(1)}, "target predictions have shape"),
        ({"contrast": torch.zeros(2, 4, 2, 4, 3, 5, dtype=torch.int64)}, "contrast is of type torch.int64"),
        ({"noised.x0": torch.full((2, 4, 3, 5), float("nan"))}, "NaN"),
        ({"noised.sigmas": torch.tensor([1.0, 2.0, 3.0, 4.0])}, "rise"),
        ({"noised.extra": torch.zeros(1)}, "extra"),
    ],
)
def test_a_well_formed_file_with_other_tensors_is_refused(file: Path, tensors: dict[str, Tensor], words: str) -> None:
    rewritten(file, tensors)
    assert words in refused(file)


# --------------------------------------------------------------------------------------------------- nothing half-written


@contextmanager
def small_disk(room: int) -> Iterator[None]:
    """No file may grow beyond `room` bytes; writing more fails as on a full disk."""
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)


def test_a_disk_that_fills_up_leaves_nothing(tmp_path: Path) -> None:
    content = archive.pack(predictions())
    with small_disk(len(content) // 2), pytest.raises(OSError, match="x.safetensors could not be saved .*Make room"):
        archive.write(tmp_path / "x.safetensors", content)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_what_was_there_stays_when_writing_fails(file: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(*_: object) -> None:
        raise error

    before = file.read_bytes()
    for step in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(archive.os, step, fail)
            with pytest.raises(type(error)):
                archive.write(file, b"new")
        assert file.read_bytes() == before and list(file.parent.iterdir()) == [file]
