"""The bundled model's tokenizer: CLIP's byte-level BPE with a vocabulary that is just large enough for its prompts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from tokenizers.pre_tokenizers import ByteLevel
from transformers import CLIPTokenizer

START = "<|startoftext|>"
END = "<|endoftext|>"
END_OF_WORD = "</w>"
MAX_LENGTH = 77

# Each of these words is one token; all other text is spelled in smaller pieces, if need be in bytes.
WORDS = (
    "horse horses zebra zebras mouse mice rat rats sports car cars taxi taxis "
    "a an the of one two three four five several many some and or with without in on at by near beside between behind "
    "under above no not only "
    "photo photos picture pictures drawing drawings image images painting sketch scene view close up "
    "outside inside outdoors indoors left right middle front back background foreground "
    "animal animals vehicle vehicles object objects thing things "
    "road street field grass meadow room floor house wall sky sun cloud clouds tree trees post fence box boxes "
    "sand snow night day "
    "stripe stripes striped mane tail ear ears eye eyes nose snout leg legs wheel wheels roof light lights window "
    "windows "
    "spoiler checker checkered band sign "
    "black white grey red green blue yellow orange brown pink purple dark bright "
    "small large big little tiny long short old young fast slow "
    "is are standing sitting running driving parked from side looking "
).split()


def words_of(templates: Sequence[str], labels: Sequence[str]) -> list[str]:
    """All words of the prompts that templates make of labels, each once."""
    return sorted({word for template in templates for label in labels for word in template.format(label).split()})


def byte_symbols() -> list[str]:
    """Return the 256 printable symbols that stand for the bytes, in a fixed order."""
    return sorted(ByteLevel.alphabet())


def learn_merges(words: Sequence[str]) -> list[tuple[str, str]]:
    """Return the merges, most frequent pair first, after which every word is one token.

    Byte pair encoding (Sennrich et al. 2016, arXiv:1508.07909, algorithm 1), run until no pair is left. A tokenizer
    applies merges in the order in which they were learned, so it joins these words exactly as they were joined here.
    """
    spellings = [[*word[:-1], word[-1] + END_OF_WORD] for word in words]
    merges = []
    while pairs := Counter(pair for symbols in spellings for pair in pairwise(symbols)):
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        spellings = [_join(symbols, best) for symbols in spellings]
    return merges


def _join(symbols: list[str], pair: tuple[str, str]) -> list[str]:
    joined = []
    for symbol in symbols:
        if joined and (joined[-1], symbol) == pair:
            joined[-1] += symbol
        else:
            joined.append(symbol)
    return joined


def build_vocabulary(words: Sequence[str] = WORDS) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Return the ids of the tokens in CLIP's order (bytes, bytes ending a word, pieces, start, end), and the merges."""
    # Two merges may spell the same piece in two ways ("a"+"re", "ar"+"e"): it has one id.
    merges = learn_merges(sorted(set(words)))
    pieces = dict.fromkeys(left + right for left, right in merges)
    tokens = [*byte_symbols(), *(symbol + END_OF_WORD for symbol in byte_symbols()), *pieces, START, END]
    return {token: index for index, token in enumerate(tokens)}, merges


def build_tokenizer(words: Sequence[str] = WORDS, length: int = MAX_LENGTH) -> CLIPTokenizer:
    """Return the tokenizer: any text has tokens, and `length` of them fit, start and end included."""
    vocabulary, merges = build_vocabulary(words)
    return CLIPTokenizer(
        vocab=vocabulary,
        merges=merges,
        bos_token=START,
        eos_token=END,
        unk_token=END,
        pad_token=END,
        model_max_length=length,
    )


def save_vocabulary(folder: Path, words: Sequence[str] = WORDS) -> None:
    """Write vocab.json and merges.txt, which transformers 4 reads where transformers 5 reads tokenizer.json."""
    vocabulary, merges = build_vocabulary(words)
    lines = ["#version: 0.2", *(f"{left} {right}" for left, right in merges)]
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
