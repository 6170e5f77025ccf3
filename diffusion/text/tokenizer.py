"""The tokenizer of the report encoder: byte pairs learned from reports, so that unknown words are spelled out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor
    from transformers import PreTrainedTokenizerFast

__all__ = ["LENGTH", "token_ids", "train_tokenizer"]

LENGTH = 48
"""Tokens of a prompt; longer ones are cut, shorter ones filled."""


def train_tokenizer(texts: Iterable[str], *, size: int = 1024) -> PreTrainedTokenizerFast:
    """A lower-case byte-pair tokenizer (Sennrich et al. 2016, arXiv:1508.07909) of its own texts.

    Args:
        texts: Prompts and reports; only their impressions should be among them.
        size: Tokens, at most.

    Raises:
        InputError: No text.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=["<pad>", "<unk>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    lines = sorted({text for text in texts if text.strip()})
    if not lines:
        raise InputError("tokenizer: there is no text to learn from; the dataset's prompt and report columns are empty")
    tokenizer.train_from_iterator(lines, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", model_max_length=LENGTH
    )


def token_ids(tokenizer: PreTrainedTokenizerFast, texts: Sequence[str]) -> Tensor:
    """(n, LENGTH) int64; always as long, so that a prompt's embedding does not depend on its neighbours."""
    length = min(int(tokenizer.model_max_length), LENGTH)
    encoded = tokenizer(list(texts), padding="max_length", truncation=True, max_length=length, return_tensors="pt")
    ids: Tensor = encoded["input_ids"]
    return ids
