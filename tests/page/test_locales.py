"""The nodes' texts in other languages: complete, nothing else, and served by ComfyUI."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from sdexplain.tools.locales import LOCALES, PAGE, english, of_the_page, paths, read

if TYPE_CHECKING:
    from sdexplain.tools.client import Client

LANGUAGES = sorted(folder.name for folder in LOCALES.iterdir())
OTHERS = [language for language in LANGUAGES if language != "en"]
# what a translation must leave as it is: dates, file names, and the words of a list that stay English
KEPT = re.compile(r"%\w+%|\.?\w+\.(?:json|safetensors)\b|\[output\]|\b\w+_\w+\b|models/\w+")


def test_english_is_what_the_nodes_say(comfyui: Client) -> None:
    """`python dev.py run tools.locales` writes it anew, and says which translations to look at."""
    assert read("en") == english(comfyui.object_info())


@pytest.mark.parametrize("language", OTHERS)
def test_a_language_has_every_text_and_no_other(language: str) -> None:
    texts = dict(paths(read(language)))
    assert texts.keys() == dict(paths(read("en"))).keys()
    assert not [path for path, text in texts.items() if not text.strip()]


def test_the_pages_english_is_what_python_says() -> None:
    assert read("en", PAGE) == of_the_page()


@pytest.mark.parametrize("language", OTHERS)
def test_a_language_has_every_text_of_the_page_with_its_places(language: str) -> None:
    texts = dict(paths(read(language, PAGE)))
    assert texts.keys() == dict(paths(of_the_page())).keys()
    for path, text in paths(of_the_page()):
        # the zh word for "clear" and the like may be one sign, but none is empty, and none loses what is filled in
        assert texts[path].strip() and sorted(re.findall(r"\{\w+\}", text)) == sorted(re.findall(r"\{\w+\}", texts[path])), path


@pytest.mark.parametrize("language", OTHERS)
def test_numbers_and_what_is_no_word_stay_as_they_are(language: str) -> None:
    texts = dict(paths(read(language)))
    for path, text in paths(read("en")):
        if path.endswith(".name"):
            continue
        assert sorted(re.findall(r"\d+", text)) == sorted(re.findall(r"\d+", texts[path])), path
        assert sorted(KEPT.findall(text)) == sorted(KEPT.findall(texts[path])), path


@pytest.mark.parametrize("language", OTHERS)
def test_tooltips_keep_the_words_of_the_lists_which_stay_english(comfyui: Client, language: str) -> None:
    texts = dict(paths(read(language)))
    for node, definition in comfyui.object_info().items():
        if not node.startswith("SDExplain"):
            continue
        for group in ("required", "optional"):
            for name, (kind, options) in definition["input"].get(group, {}).items():
                choices = kind if isinstance(kind, list) else options.get("options", ()) if kind == "COMBO" else ()
                explained = [choice for choice in choices if f"{choice}:" in options["tooltip"]]
                missing = [choice for choice in explained if choice not in texts[f"{node}.inputs.{name}.tooltip"]]
                assert not missing, (node, name)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_has_signs_that_the_page_would_take_for_its_own(language: str) -> None:
    """They are messages of vue-i18n on some pages, and plain text on others: an escape would be wrong on one of the two."""
    assert [path for path, text in paths(read(language)) if re.search(r"[{}@|$]", text)] == []


def test_comfyui_serves_all_languages(comfyui: Client) -> None:
    served = comfyui._get("/i18n").json()
    assert {language: served[language]["nodeDefs"] for language in LANGUAGES} == {
        language: read(language) for language in LANGUAGES
    }
