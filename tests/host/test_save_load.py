"""Saving and loading predictions as nodes: inside ComfyUI's folders only, and with the same pictures afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from analytic import Gaussians, noised_latents, wrapped
from sdexplain.nodes.maths.answers import sanity
from sdexplain.nodes.maths.method.prediction import NoisePredictions, collect, part_of
from sdexplain.tools.graphs import node, noising, zebra_against_horse

if TYPE_CHECKING:
    from sdexplain.tools.client import Client, Run
    from sdexplain.tools.server import Server

STEPS = 3


# ---------------------------------------------------------------------------------------------------------------- folders


@pytest.fixture
def folders(comfy_host: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the input and the output folder of ComfyUI in it, both empty."""
    import folder_paths

    for kind in ("input", "output"):
        (tmp_path / kind).mkdir()
        monkeypatch.setattr(folder_paths, f"get_{kind}_directory", lambda kind=kind: str(tmp_path / kind))
    return tmp_path


def predictions() -> NoisePredictions:
    gaussians = Gaussians(torch.tensor([0.5, -0.3]), torch.tensor([-0.5, 0.3]), 0.8)
    return collect(noised_latents(torch.zeros(1, 2, 3, 5), steps=2), wrapped(gaussians, "eps"))


def test_the_list_has_both_folders_with_their_subfolders_as_comfyui_names_them(folders: Path) -> None:
    import folder_paths
    from sdexplain.nodes.host.archives import find_archive, list_archives

    for name in ("input/a.safetensors", "output/sub/b.safetensors", "input/c.png", "output/b.safetensors.part"):
        (folders / name).parent.mkdir(exist_ok=True)
        (folders / name).write_bytes(b"x")
    assert list(list_archives()) == ["a.safetensors", "sub/b.safetensors [output]"]
    for name, path in list_archives().items():
        assert find_archive(name) == path == Path(folder_paths.get_annotated_filepath(name))
    assert find_archive("a.safetensors [input]") == folders / "input" / "a.safetensors"


@pytest.mark.parametrize(
    "name",
    ["../secret.safetensors", "../secret.safetensors [output]", "{}/secret.safetensors", "link.safetensors", "", "\0"]
    + ["out/secret.safetensors", "a/../../secret.safetensors", "..\\secret.safetensors", "pipe.safetensors", "x [temp]"],
)
def test_files_outside_the_folders_are_refused(folders: Path, name: str) -> None:
    import os

    from sdexplain.nodes.host.archives import find_archive, list_archives

    (folders / "secret.safetensors").write_bytes(b"x")
    (folders / "input" / "link.safetensors").symlink_to(folders / "secret.safetensors")
    (folders / "input" / "out").symlink_to(folders)
    os.mkfifo(folders / "input" / "pipe.safetensors")
    assert not list_archives()
    with pytest.raises(ValueError, match="There is no file .*Choose one of the list"):
        find_archive(name.format(folders))


@pytest.mark.parametrize(
    "prefix",
    ["../zebra", "sub/../../zebra", "{}/zebra", "link/zebra", "link/sub/zebra", "", ".", "..", "sub/..", "a\0b", "x" * 300],
)
def test_prefixes_that_lead_out_or_name_nothing_are_refused(folders: Path, prefix: str) -> None:
    from sdexplain.nodes.save_predictions import SavePredictions

    (folders / "outside").mkdir()
    (folders / "output" / "link").symlink_to(folders / "outside")
    with pytest.raises((ValueError, OSError), match=r"filename_prefix.*(Choose a name like|Nothing was left)"):
        SavePredictions.execute(predictions(), prefix.format(folders), "float32")
    assert not [path for path in folders.rglob("*") if path.is_file()]
    assert not list((folders / "outside").iterdir())


def test_every_file_gets_a_number_of_its_own_and_dates_are_filled_in(folders: Path) -> None:
    from sdexplain.nodes.host.archives import list_archives
    from sdexplain.nodes.load_predictions import LoadPredictions
    from sdexplain.nodes.save_predictions import SavePredictions

    made = predictions()
    names = [SavePredictions.execute(made, "%year%/Zebra 🦓", "float32").result[0] for _ in range(2)]
    year = names[0].split("/")[0]
    assert year.isdigit() and names == [f"{year}/Zebra 🦓_0000{n}_.safetensors [output]" for n in (1, 2)]
    assert list(list_archives()) == names
    loaded, noised, about = LoadPredictions.execute(names[1]).result
    assert torch.equal(loaded.target, made.target) and loaded.noised is noised and "“target” vs “contrast”" in about


def test_predictions_of_some_steps_leave_all_steps_to_be_asked_under_other_prompts(folders: Path) -> None:
    from sdexplain.nodes.load_predictions import LoadPredictions
    from sdexplain.nodes.save_predictions import SavePredictions

    made = predictions()
    part = part_of(made, (1,), 1)
    loaded, noised, _ = LoadPredictions.execute(SavePredictions.execute(part, "zebra", "float32").result[0]).result
    assert loaded.noised.asked == (1,) and noised.asked is None
    assert torch.equal(noised.noise, made.noised.noise) and torch.equal(noised.sigmas, made.noised.sigmas)
    assert sanity.take_part(noised, 1, 1).steps == 1


def test_saving_that_fails_or_is_cancelled_leaves_no_file(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import comfy.model_management
    from sdexplain.nodes.maths.files import archive
    from sdexplain.nodes.save_predictions import SavePredictions

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(archive.os, "fsync", full)
        with pytest.raises(OSError, match="No space left on device.*Make room"):
            SavePredictions.execute(predictions(), "zebra", "float32")
    comfy.model_management.interrupt_current_processing()
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        SavePredictions.execute(predictions(), "zebra", "float32")
    assert not list((folders / "output").iterdir())


def test_the_loaded_file_changes_when_it_is_written_again(folders: Path) -> None:
    from sdexplain.nodes.load_predictions import LoadPredictions
    from sdexplain.nodes.save_predictions import SavePredictions

    (name,) = SavePredictions.execute(predictions(), "zebra", "float32").result
    before = LoadPredictions.fingerprint_inputs(name)
    assert LoadPredictions.fingerprint_inputs(name) == before
    path = folders / "output" / name.removesuffix(" [output]")
    path.write_bytes(path.read_bytes() + b"more")
    assert LoadPredictions.fingerprint_inputs(name) != before


# ----------------------------------------------------------------------------------------------------------- fingerprints


@pytest.fixture(scope="module")
def bundled(comfy_host: Path) -> tuple[Any, Any]:
    """MODEL and CLIP of the bundled model."""
    from sdexplain.nodes.host.loading.diffusers_folder import load_pipeline
    from sdexplain.nodes.host.loading.folders import BUNDLED_FOLDER

    return load_pipeline(BUNDLED_FOLDER, [])[:2]


def test_a_models_fingerprint_is_its_files_and_its_patches(bundled: tuple[Any, Any]) -> None:
    import comfy.model_management
    from comfy_extras.nodes_model_advanced import ModelSamplingDiscrete
    from sdexplain.nodes.host.fingerprint import of_model
    from sdexplain.nodes.host.loading.diffusers_folder import load_pipeline
    from sdexplain.nodes.host.loading.folders import BUNDLED_FOLDER

    model = bundled[0]
    own = of_model(model)
    assert of_model(model.clone()) == own == of_model(load_pipeline(BUNDLED_FOLDER, [])[0])
    key = next(name for name, weight in model.model.state_dict().items() if weight.ndim == 4)
    change = {key: ("diff", (torch.ones_like(model.model.state_dict()[key]),))}
    patched, stronger = model.clone(), model.clone()
    patched.add_patches(change, 0.5)
    stronger.add_patches(change, 0.6)
    (velocity,) = ModelSamplingDiscrete().patch(model, "v_prediction", False)
    others = [of_model(other) for other in (patched, stronger, velocity)]
    assert len({own, *others}) == 4
    comfy.model_management.load_models_gpu([patched], force_full_load=True)
    try:
        assert of_model(model) == own and of_model(patched) == others[0]
    finally:
        patched.detach()
    weight = model.model.state_dict()[key]
    weight.view(-1)[0] += 1
    assert of_model(model) != own
    weight.view(-1)[0] -= 1


def test_a_prompts_fingerprint_is_its_content(bundled: tuple[Any, Any]) -> None:
    from sdexplain.nodes.host.fingerprint import of_conditioning

    clip = bundled[1]
    zebra, again, horse = (clip.encode_from_tokens_scheduled(clip.tokenize(text)) for text in ("a zebra", "a zebra", "a horse"))
    assert of_conditioning(zebra) == of_conditioning(again) != of_conditioning(horse)
    ((tensor, entry),) = zebra
    assert of_conditioning([[tensor, {**entry, "start_percent": 0.5}]]) != of_conditioning(zebra)
    assert of_conditioning([[tensor.half(), entry]]) != of_conditioning(zebra)


# ------------------------------------------------------------------------------------------------------------- in a server


def pictures_of(source: str) -> dict[str, dict[str, Any]]:
    """A sheet and a heatmap of predictions."""
    return {
        "sheet": node(
            "SDExplainStepSheet",
            image=["picture", 0],
            predictions=[source, 0],
            ranges=3,
            reading="evidence",
            weighting="information",
            scalar="channel norm",
            colour_map="automatic",
            percentile=99.5,
            opacity=0.8,
            background="grey",
            interpolation="smooth",
        )
    }


@pytest.fixture
def picture() -> dict[str, Any]:
    return node("SDExplainExamplePicture", class_name="zebra", seed=1_000_003, size=128)


@pytest.fixture
def saving(picture: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        "picture": picture,
        "load": node("SDExplainLoadDiffusers", folder="bundled model"),
        "encode": node("VAEEncode", pixels=["picture", 0], vae=["load", 2]),
        "noise": noising("load", STEPS),
        **zebra_against_horse("load", target_label="<b>zebra 🦓</b>", contrast_label="حصان"),
        "save": node("SDExplainSavePredictions", predictions=["predict", 0], filename_prefix="tests/zebra", precision="float32"),
        **pictures_of("predict"),
    }


def pixels(comfyui: Client, run: Run) -> np.ndarray:
    (sheet,) = run.pictures("sheet")
    return np.asarray(comfyui.image(sheet))


def test_a_saved_file_gives_the_same_sheet_without_the_model(
    comfyui: Client, comfyui_server: Server, saving: dict[str, dict[str, Any]], picture: dict[str, Any]
) -> None:
    made = comfyui.run(saving, timeout=120)
    name = made.outputs["save"]["text"][0].partition(",")[0]
    assert name.startswith("tests/zebra_") and name.endswith("_.safetensors [output]")
    options = comfyui.object_info("SDExplainLoadPredictions")["SDExplainLoadPredictions"]["input"]["required"]["file"]
    assert name in str(options)
    graph = {
        "picture": picture,
        "load": node("SDExplainLoadPredictions", file=name),
        "about": node("PreviewAny", source=["load", 2]),
        **pictures_of("load"),
    }
    loaded = comfyui.run(graph, timeout=120)
    assert (pixels(comfyui, made) == pixels(comfyui, loaded)).all()
    about = loaded.outputs["about"]["text"][0]
    assert "“<b>zebra 🦓</b>” vs “حصان”" in about and f"{STEPS} steps" in about
    for kind in ("model", "target", "contrast"):
        assert f"{kind}: " in about
    path = comfyui_server.base / "output" / name.removesuffix(" [output]")
    path.write_bytes(path.read_bytes()[:-1000])
    from sdexplain.tools.client import NodeFailed

    with pytest.raises(NodeFailed, match="truncated or damaged.*Save Noise Predictions"):
        comfyui.run(graph, timeout=120)


@pytest.mark.parametrize("file", ["../../secret.safetensors", "/etc/passwd", "nothing.safetensors [output]"])
def test_a_file_that_is_not_listed_is_refused_before_anything_runs(comfyui: Client, file: str) -> None:
    from sdexplain.tools.client import PromptRejected

    graph = {
        "load": node("SDExplainLoadPredictions", file=file),
        "about": node("PreviewAny", source=["load", 2]),
    }
    with pytest.raises(PromptRejected, match="There is no file"):
        comfyui.run(graph)


def test_every_input_and_output_says_what_it_is(comfyui: Client) -> None:
    for kind in ("SDExplainSavePredictions", "SDExplainLoadPredictions"):
        info = comfyui.object_info(kind)[kind]
        assert info["category"] == "SDExplain" and info["description"]
        assert all(len(options[1].get("tooltip", "")) > 20 for options in info["input"]["required"].values())
        assert all(len(tooltip) > 20 for tooltip in info["output_tooltips"])
