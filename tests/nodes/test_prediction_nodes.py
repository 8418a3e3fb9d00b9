"""The nodes from noising to difference in a real server: what reaches the model is counted, and bad input is refused in words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from sdexplain.tools.graphs import node, noising, prompt, summing, zebra_against_horse
from sdexplain.tools.graphs import rivals as rival_labels
from sdexplain.training import architecture
from small_pipeline import small_pipeline

if TYPE_CHECKING:
    from sdexplain.tools.client import Client, Run
    from sdexplain.tools.server import Server

STEPS = 6
NODES = ("SDExplainNoiseLatent", "SDExplainPredictNoise", "SDExplainRivals", "SDExplainSumDifference")


@pytest.fixture(scope="module")
def pipeline_folder(comfyui_server: Server) -> str:
    """The name of a small pipeline with random weights among the server's diffusers folders."""
    architecture.save_pipeline(small_pipeline(), comfyui_server.base / "models" / "diffusers" / "random weights", torch.float32)
    return "random weights"


@pytest.fixture(scope="module")
def picture(comfyui: Client) -> str:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    return comfyui.upload(Image.fromarray(pixels), "noise.png")


@pytest.fixture
def graph(pipeline_folder: str, picture: str, request: pytest.FixtureRequest) -> dict[str, dict[str, Any]]:
    """Everything from the picture to the decoded difference; the model's calls are counted in a file of the test's own."""
    return {
        "load": node("SDExplainLoadDiffusers", folder=pipeline_folder),
        "count": node("ProbeCountCalls", model=["load", 0], file=f"{request.node.name}.txt"),
        "picture": node("LoadImage", image=picture),
        "encode": node("VAEEncode", pixels=["picture", 0], vae=["load", 2]),
        "noise": noising("count", STEPS),
        **zebra_against_horse("count"),
        "sum": summing(),
        "decode": node("VAEDecode", samples=["sum", 1], vae=["load", 2]),
        "show": node("PreviewImage", images=["decode", 0]),
    }


class Counter:
    """Runs the graph and says how many evaluations reached the model since the last time."""

    def __init__(self, comfyui: Client, output: Path, graph: dict[str, dict[str, Any]]) -> None:
        self.comfyui, self.graph = comfyui, graph
        self.file = output / graph["count"]["inputs"]["file"]
        self.seen = 0

    def run(self) -> tuple[int, Run]:
        run = self.comfyui.run(self.graph, timeout=120)
        lines = [int(line) for line in self.file.read_text().splitlines()] if self.file.exists() else []
        new, self.seen = sum(lines) - self.seen, sum(lines)
        return new, run

    def pixels(self, run: Run) -> np.ndarray:
        return np.asarray(self.comfyui.image(run.pictures("show")[0])).astype(int)


@pytest.fixture
def counter(comfyui: Client, comfyui_server: Server, graph: dict[str, dict[str, Any]]) -> Counter:
    return Counter(comfyui, comfyui_server.base / "output", graph)


def test_ranges_readings_and_labels_never_call_the_model_again(counter: Counter) -> None:
    asked, _ = counter.run()
    assert asked == 2 * STEPS
    inputs = counter.graph["sum"]["inputs"]
    for change in (
        {"start": 2, "end": 4},
        {"reading": "absolute"},
        {"weighting": "information"},
        {"latent_direction": "contrast - target"},
        {"latent_base": "added to the image", "latent_strength": 0.5},
    ):
        inputs.update(change)
        asked, run = counter.run()
        assert asked == 0
        assert set(run.ran) == {"sum", "decode", "show"}
    counter.graph["predict"]["inputs"].update(target_label="<b>🦓</b>", contrast_label="")
    asked, run = counter.run()
    assert asked == 0
    assert "predict" in run.ran


def test_changing_one_prompt_predicts_that_prompt_alone(counter: Counter) -> None:
    counter.run()
    counter.graph["horse"]["inputs"]["text"] = "a photo of a rat"
    asked, run = counter.run()
    assert asked == STEPS
    said = run.outputs["predict"]["text"][0]
    assert said == f"Predicted {STEPS} of {2 * STEPS} in 4 model calls, {STEPS} were there already."
    counter.graph["noise"]["inputs"]["samples"] = 2
    assert counter.run()[0] == 2 * STEPS
    counter.graph["noise"]["inputs"]["seed"] = 1
    assert counter.run()[0] == 4 * STEPS


def test_more_antithetic_samples_predict_the_new_ones_alone(counter: Counter) -> None:
    counter.graph["noise"]["inputs"]["samples"] = 4
    asked, _ = counter.run()
    assert asked == 4 * 2 * STEPS
    counter.graph["noise"]["inputs"]["samples"] = 8
    asked, _ = counter.run()
    assert asked == 4 * 2 * STEPS


def test_a_second_node_with_one_prompt_in_common_predicts_the_other_alone(counter: Counter) -> None:
    counter.graph["empty"] = prompt("")
    against_empty = {**counter.graph["predict"]["inputs"], "contrast": ["empty", 0]}
    counter.graph["predict empty"] = node("SDExplainPredictNoise", **against_empty)
    counter.graph["sum empty"] = node(
        "SDExplainSumDifference", **{**counter.graph["sum"]["inputs"], "predictions": ["predict empty", 0]}
    )
    counter.graph["decode empty"] = node("VAEDecode", samples=["sum empty", 1], vae=["load", 2])
    counter.graph["show empty"] = node("PreviewImage", images=["decode empty", 0])
    assert counter.run()[0] == 3 * STEPS


def test_the_same_prompt_twice_decodes_to_the_zero_latent(counter: Counter) -> None:
    counter.graph["horse"]["inputs"]["text"] = counter.graph["zebra"]["inputs"]["text"]
    asked, run = counter.run()
    assert asked == STEPS
    counter.graph["sum"]["inputs"]["latent_strength"] = 0.0
    nothing, other = counter.pixels(run), counter.pixels(counter.run()[1])
    assert (nothing == other).all()


def save_lora(folder: Path) -> str:
    """A LoRA of random weights for the small pipeline, and its name."""
    layer = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_v"
    up, down = torch.randn(32, 2, generator=torch.Generator().manual_seed(1)), torch.ones(2, 32)
    folder.mkdir(exist_ok=True)
    save_file({f"{layer}.lora_up.weight": up, f"{layer}.lora_down.weight": down}, folder / "detailer.safetensors")
    return "detailer.safetensors"


def test_a_lora_on_one_side_alone_is_what_differs(counter: Counter, comfyui_server: Server) -> None:
    name = save_lora(comfyui_server.base / "models" / "loras")
    hook = node("CreateHookLora", lora_name=name, strength_model=0.0, strength_clip=0.0)
    clip = node("SetClipHooks", clip=["load", 1], hooks=["hook", 0], apply_to_conds=True, schedule_clip=False)
    counter.graph |= {"hook": hook, "clip": clip, "verdict": node("SDExplainVerdict", predictions=["predict", 0])}
    counter.graph["verdict"]["inputs"] |= {"start": 0, "end": -1, "temperature": 1.0}
    counter.graph["predict"]["inputs"].update(target_label="", contrast_label="")
    counter.graph["zebra"]["inputs"].update(clip=["clip", 0], text=counter.graph["horse"]["inputs"]["text"])
    none = counter.pixels(counter.run()[1])
    hook["inputs"]["strength_model"] = 1.0
    _, run = counter.run()
    assert (counter.pixels(run) != none).any()
    assert run.outputs["verdict"]["text"][0].startswith("“with detailer” against “without detailer”")
    counter.graph["sum"]["inputs"]["latent_strength"] = 0.0
    assert (counter.pixels(counter.run()[1]) == none).all()


def test_directions_and_bases_show(counter: Counter) -> None:
    pictures = {}
    for direction in ("target - contrast", "contrast - target"):
        for base in ("difference alone", "added to the image"):
            counter.graph["sum"]["inputs"].update(latent_direction=direction, latent_base=base)
            pictures[direction, base] = counter.pixels(counter.run()[1])
    shown = list(pictures.values())
    assert all((first != second).any() for i, first in enumerate(shown) for second in shown[:i])


def test_the_noised_latents_can_be_looked_at(counter: Counter) -> None:
    counter.graph["decode noised"] = node("VAEDecode", samples=["noise", 1], vae=["load", 2])
    counter.graph["show noised"] = node("PreviewImage", images=["decode noised", 0])
    assert len(counter.run()[1].pictures("show noised")) == STEPS


def test_cores_sigmas_and_noise_replace_the_nodes_own(counter: Counter) -> None:
    own = counter.pixels(counter.run()[1])
    counter.graph["sigmas"] = node("BasicScheduler", model=["count", 0], scheduler="normal", steps=STEPS, denoise=1.0)
    counter.graph["random"] = node("RandomNoise", noise_seed=0)
    inputs = counter.graph["noise"]["inputs"]
    inputs.update(sigmas=["sigmas", 0], steps=1, scheduler="karras")
    assert (counter.pixels(counter.run()[1]) == own).all()
    inputs.update(step_noise="same at every step")
    same = counter.pixels(counter.run()[1])
    inputs.update(noise=["random", 0], seed=99)
    assert (counter.pixels(counter.run()[1]) == same).all()
    inputs.update(samples=3, step_noise="fresh per step")
    asked, _ = counter.run()
    assert asked > 0


@pytest.mark.parametrize(
    ("where", "inputs", "words"),
    [
        ("sum", {"start": 3, "end": 3}, "The range 3-3 is empty: start must be less than end"),
        ("sum", {"start": 5, "end": 2}, "The range 5-2 is empty"),
        ("sum", {"start": -1}, "The range is -1 to"),
        ("sum", {"end": -2}, "The range is 0 to -2"),
        ("noise", {"steps": 0}, "smaller than min"),
        ("noise", {"steps": 1001}, "bigger than max"),
        ("noise", {"samples": 0}, "smaller than min"),
        ("predict", {"noised": ["encode", 0]}, "mismatch"),
    ],
)
def test_what_can_be_seen_without_running_is_refused_before_anything_runs(
    comfyui: Client, counter: Counter, where: str, inputs: dict[str, Any], words: str
) -> None:
    from sdexplain.tools.client import PromptRejected

    counter.graph[where]["inputs"].update(inputs)
    with pytest.raises(PromptRejected, match=words):
        counter.run()
    assert not counter.file.exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"sum": {"start": 4, "end": STEPS + 1}},
            rf"range 4-{STEPS + 1} goes past the schedule, which has {STEPS} steps",
        ),
        ({"sum": {"start": STEPS}}, rf"range {STEPS}-end goes past the schedule"),
        # newer hosts refuse these four themselves
        ({"sum": {"reading": "evil"}}, r"reading(: 'evil' not in \[| is 'evil'; expected one of )'?difference'?, '?absolute"),
        ({"sum": {"latent_direction": "evil"}}, r"direction(: 'evil' not in \[| is 'evil'; expected one of )'?target - contrast"),
        ({"noise": {"scheduler": "evil"}}, r"scheduler(: 'evil' not in \[| is 'evil'; expected one of )"),
        (
            {"noise": {"step_noise": "evil"}},
            r"(step_noise: 'evil' not in \[|noise at each step is 'evil'; expected )'fresh per step'",
        ),
        ({"noise": {"sigmas": ["rising", 1]}}, r"rise from 0.0291\d* at step 0"),
        ({"noise": {"sigmas": ["empty", 0]}}, "there is no step"),
        ({"noise": {"sigmas": ["high", 0]}}, "run from 80 to .*this model knows those from 14.6"),
        ({"noise": {"noise": ["none", 0]}}, "noise is zero everywhere"),
        ({"noise": {"latent": ["video", 0]}}, "is a video of 2 frames"),
        ({"noise": {"latent": ["wide", 0]}}, "16 channels, but the model takes 4"),
        ({"noise": {"model": ["flow", 0]}}, "noised latents .*Connect the model that the noising node has"),
        ({"noise": {"scheduler": "kl_optimal", "steps": 1}}, "kl_optimal has no schedule of 1 steps"),
    ],
)
def test_what_shows_while_running_is_refused_in_words(counter: Counter, changes: dict[str, Any], words: str) -> None:
    from sdexplain.tools.client import NodeFailed, PromptRejected

    counter.graph |= {
        "sigmas": node("BasicScheduler", model=["count", 0], scheduler="normal", steps=STEPS, denoise=1.0),
        "flipped": node("FlipSigmas", sigmas=["sigmas", 0]),
        "rising": node("SplitSigmas", sigmas=["flipped", 0], step=1),
        "empty": node("BasicScheduler", model=["count", 0], scheduler="normal", steps=STEPS, denoise=0.0),
        "high": node("KarrasScheduler", steps=STEPS, sigma_max=80.0, sigma_min=0.03, rho=7.0),
        "none": node("DisableNoise"),
        "video": node("EmptyHunyuanLatentVideo", width=64, height=64, length=5, batch_size=1),
        "wide": node("EmptySD3LatentImage", width=64, height=64, batch_size=1),
        "flow": node("ModelSamplingSD3", model=["count", 0], shift=3.0),
    }
    for name, values in changes.items():
        counter.graph[name]["inputs"].update(values)
    with pytest.raises((NodeFailed, PromptRejected), match=words):
        counter.run()


def test_every_input_and_output_says_what_it_is(comfyui: Client) -> None:
    for kind in NODES:
        info = comfyui.object_info(kind)[kind]
        assert info["category"] == "SDExplain"
        assert info["description"]
        inputs = {**info["input"].get("required", {}), **info["input"].get("optional", {})}
        assert all(len(options[1].get("tooltip", "")) > 20 for options in inputs.values())
        assert all(len(tooltip) > 20 for tooltip in info["output_tooltips"])


# -------------------------------------------------------------------------------------------------------------- several labels


SAMPLES = 4


@pytest.fixture
def rivals(graph: dict[str, dict[str, Any]], comfyui: Client, comfyui_server: Server) -> Counter:
    """The same graph with Rival Labels in the place of Collect Noise Predictions and its prompts."""
    for name in ("zebra", "horse", "predict"):
        del graph[name]
    graph["noise"]["inputs"]["samples"] = SAMPLES
    graph["rivals"] = rival_labels("count", "zebra\nhorse", target="zebra", reliability="all", threshold=3.0)
    graph["table"] = node("PreviewAny", source=["rivals", 2])
    graph["winner"] = node("PreviewAny", source=["rivals", 3])
    graph["sum"]["inputs"]["predictions"] = ["rivals", 0]
    return Counter(comfyui, comfyui_server.base / "output", graph)


def test_two_labels_cost_what_a_pair_costs_and_a_pair_finds_them(rivals: Counter) -> None:
    asked, run = rivals.run()
    assert asked == 2 * SAMPLES * STEPS
    through_rivals = rivals.pixels(run)
    rivals.graph |= zebra_against_horse("count")
    rivals.graph["sum"]["inputs"]["predictions"] = ["predict", 0]
    asked, run = rivals.run()
    assert asked == 0
    assert (rivals.pixels(run) == through_rivals).all()


def test_other_targets_and_looks_ask_the_model_for_nothing(rivals: Counter) -> None:
    inputs = rivals.graph["rivals"]["inputs"]
    inputs.update(labels="zebra\nhorse\nrat", target="")
    rivals.run()
    assert rivals.run()[0] == 0
    for change in (
        {"target": "rat"},
        {"contrast": "horse"},
        {"target": "horse", "contrast": ""},
        {"reading": "absolute", "weighting": "uniform"},
        {"background": "photo", "opacity": 0.3},
        {"reliability": "reliable only", "threshold": 2.0},
        {"labels": "rat\n\nhorse\nzebra"},
        {"stop_early": True},
    ):
        inputs.update(change)
        asked, run = rivals.run()
        assert asked == 0
        assert "rivals" in run.ran


def test_a_new_label_and_another_template_predict_what_is_new(rivals: Counter) -> None:
    inputs = rivals.graph["rivals"]["inputs"]
    rivals.run()
    inputs["labels"] += "\nsports car"
    asked, run = rivals.run()
    assert asked == SAMPLES * STEPS
    said = run.outputs["rivals"]["text"][1]
    assert said.startswith(f"Predicted {SAMPLES * STEPS} of {3 * SAMPLES * STEPS} in ")
    inputs["template"] = "a drawing of a {}"
    assert rivals.run()[0] == 3 * SAMPLES * STEPS


def test_labels_that_are_out_get_no_more_samples_and_the_table_says_so(rivals: Counter) -> None:
    samples = 16
    rivals.graph["noise"]["inputs"]["samples"] = samples
    labels = "zebra\nhorse\nrat\ntaxi"
    rivals.graph["rivals"]["inputs"].update(labels=labels, target="", stop_early=True, confidence=0.5)
    asked, run = rivals.run()
    assert asked < 4 * samples * STEPS
    table = run.outputs["table"]["text"][0]
    assert table == run.outputs["rivals"]["text"][0]
    counted = [re.search(r" (\d+)   (winner|ahead|ruled out after|not ruled out)", line) for line in table.splitlines()]
    assert sum(int(found[1]) for found in counted if found) * STEPS == asked
    assert "out after" in table
    winner = run.outputs["winner"]["text"][0]
    assert winner in labels.splitlines()
    assert f"“{winner}” is ahead" in table, "random weights know no picture, and prefer nothing"
    assert "more were not needed" in run.outputs["rivals"]["text"][1]


def test_each_image_of_a_batch_has_a_table_and_a_sheet(rivals: Counter) -> None:
    rivals.graph["inverted"] = node("ImageInvert", image=["picture", 0])
    rivals.graph["both"] = node("ImageBatch", image1=["picture", 0], image2=["inverted", 0])
    rivals.graph["encode"]["inputs"]["pixels"] = rivals.graph["rivals"]["inputs"]["image"] = ["both", 0]
    asked, run = rivals.run()
    assert asked == 2 * 2 * SAMPLES * STEPS
    assert len(run.pictures("rivals")) == 2
    table = run.outputs["table"]["text"][0]
    assert "Image 1: " in table and "Image 2: " in table
    assert len(run.outputs["winner"]["text"][0].splitlines()) == 2


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"labels": "zebra"}, "number of labels is 1; expected 2 to 20, one in each line"),
        ({"labels": "zebra\nzebra "}, "contain 'zebra' twice"),
        ({"template": "a photo"}, "template is 'a photo'; expected a prompt with {}"),
        ({"target": "unicorn"}, "target is 'unicorn'; expected one of the labels zebra, horse"),
        ({"contrast": "zebra"}, "target and the contrast are both 'zebra'"),
        ({"confidence": 0.3}, "smaller than min"),
        ({"reading": "absolute", "colour_map": "RdBu_r"}, "heatmap is unsigned and needs a sequential one"),
        ({"image": ["load square", 0]}, "its shape is"),
    ],
)
def test_labels_that_can_not_be_compared_are_refused_once_and_before_the_model_is_asked(
    rivals: Counter, inputs: dict[str, Any], words: str
) -> None:
    from sdexplain.tools.client import NodeFailed, PromptRejected

    rivals.graph["load square"] = node("EmptyImage", width=64, height=64, batch_size=1, color=0)
    rivals.graph["rivals"]["inputs"].update(inputs)
    with pytest.raises((PromptRejected, NodeFailed), match=words) as refused:
        rivals.run()
    assert not rivals.file.exists()
    assert len(re.findall(words, str(refused.value))) == 1


def test_a_contrast_that_turns_out_to_be_the_winner_gives_way_to_the_strongest_rival(rivals: Counter) -> None:
    rivals.graph["rivals"]["inputs"].update(target="", contrast="")
    _, by_itself = rivals.run()
    rivals.graph["rivals"]["inputs"]["contrast"] = by_itself.outputs["winner"]["text"][0]
    asked, named = rivals.run()
    assert asked == 0
    assert (rivals.pixels(named) == rivals.pixels(by_itself)).all()


def test_linked_labels_are_refused_in_the_same_words(rivals: Counter) -> None:
    from sdexplain.tools.client import NodeFailed

    rivals.graph["text"] = node("PrimitiveStringMultiline", value="zebra\nzebra")
    rivals.graph["rivals"]["inputs"]["labels"] = ["text", 0]
    with pytest.raises(NodeFailed, match="contain 'zebra' twice"):
        rivals.run()


def test_rivals_on_another_models_noised_latents_are_refused(rivals: Counter) -> None:
    from sdexplain.tools.client import NodeFailed

    rivals.graph["flow"] = node("ModelSamplingSD3", model=["count", 0], shift=3.0)
    rivals.graph["rivals"]["inputs"]["model"] = ["flow", 0]
    with pytest.raises(NodeFailed, match="noised latents .*Connect the model that the noising node has"):
        rivals.run()
