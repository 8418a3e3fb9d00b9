"""The bundled model's tokenizer knows its prompts' words and can spell anything else, from either kind of file."""

from __future__ import annotations

from pathlib import Path

import pytest
from sdexplain.training.tokenizer import MAX_LENGTH, WORDS, build_tokenizer, save_vocabulary
from transformers import CLIPTokenizer

TEXTS = [
    "",
    "a photo of two zebras, outside",
    "Giraffe's 123 giraffes!",
    "🦓 zèbre حمار وحشي 斑馬",
    "\x00\x7f\ufffd\u200f",
    "x" * 10_000,
]


@pytest.fixture(scope="module")
def tokenizer() -> CLIPTokenizer:
    return build_tokenizer()


def test_each_word_is_one_token(tokenizer: CLIPTokenizer) -> None:
    spelled = {word: tokenizer.convert_ids_to_tokens(tokenizer(word).input_ids)[1:-1] for word in WORDS}
    assert {word: pieces for word, pieces in spelled.items() if pieces != [f"{word}</w>"]} == {}


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_any_text_has_tokens(tokenizer: CLIPTokenizer, text: str) -> None:
    start, *pieces, end = tokenizer(text).input_ids
    assert (start, end) == (tokenizer.bos_token_id, tokenizer.eos_token_id)
    # The end token also stands for what can't be spelled: there is nothing of that kind.
    assert not {start, end} & set(pieces)
    assert bool(pieces) == bool(text)


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_prompts_are_padded_and_cut_to_the_same_length(tokenizer: CLIPTokenizer, text: str) -> None:
    ids = tokenizer(text, padding="max_length", truncation=True).input_ids
    assert len(ids) == MAX_LENGTH
    assert ids[-1] == tokenizer.eos_token_id == tokenizer.pad_token_id


def test_vocabulary_files_alone_give_the_same_tokens(tokenizer: CLIPTokenizer, tmp_path: Path) -> None:
    save_vocabulary(tmp_path)
    from_files = CLIPTokenizer.from_pretrained(tmp_path)
    assert [from_files(text).input_ids for text in TEXTS] == [tokenizer(text).input_ids for text in TEXTS]
