"""Real models of transformers with small random weights, written and read again as a user's folder."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from synth.core.errors import InputError
from synth.metrics.alignment.model import ClipModel
from synth.metrics.extractors import extractor, features
from synth.metrics.scoring.scores import score

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

IMAGES = np.random.default_rng(5).integers(0, 256, (5, 24, 40), dtype=np.uint8)
SMALL = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
VISION = {**SMALL, "image_size": 32, "patch_size": 16}
SIZE = {"height": 32, "width": 32}


def save(model, processor, folder):
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    assert (folder / "model.safetensors").is_file()
    return model


def prepared(processor):
    colour = [Image.fromarray(image).convert("RGB") for image in IMAGES]
    return processor(images=colour, return_tensors="pt")["pixel_values"]


@pytest.fixture
def clip(tmp_path):
    """A folder of a CLIP model with its tokenizer of letters."""
    torch.manual_seed(0)
    letters = "abcdefgh"
    vocabulary = {word: at for at, word in enumerate(["<|startoftext|>", "<|endoftext|>", *letters])}
    vocabulary |= {f"{letter}</w>": len(vocabulary) + at for at, letter in enumerate(letters)}
    tokenizer = transformers.CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=16)
    text = {**SMALL, "vocab_size": len(vocabulary), "max_position_embeddings": 16, "bos_token_id": 0, "eos_token_id": 1}
    config = transformers.CLIPConfig(text_config=text, vision_config=VISION, projection_dim=8)
    processor = transformers.CLIPImageProcessor(size=SIZE, crop_size=SIZE)
    model = save(transformers.CLIPModel(config), processor, tmp_path)
    tokenizer.save_pretrained(tmp_path)
    return tmp_path, model, processor, tokenizer


@pytest.mark.parametrize("kind", ["ViT", "Dinov2"])
def test_the_vector_of_a_vision_model(tmp_path, kind):
    torch.manual_seed(1)
    config = getattr(transformers, f"{kind}Config")(**({**VISION, "mlp_ratio": 2} if kind == "Dinov2" else VISION))
    processor = transformers.ViTImageProcessor(size=SIZE)
    model = save(getattr(transformers, f"{kind}Model")(config), processor, tmp_path)
    found = extractor(tmp_path, device="cpu")
    with torch.inference_mode():
        expected = model(pixel_values=prepared(processor)).pooler_output.numpy()
    assert found.dimension == 16
    np.testing.assert_allclose(found.features(IMAGES), expected, atol=1e-5)
    assert found.features(IMAGES).std(0).min() > 1e-4
    wide = found.features(IMAGES.astype(np.uint16) * 257)
    np.testing.assert_allclose(wide, found.features(IMAGES), atol=1e-6)
    before = found.version_hash
    save(getattr(transformers, f"{kind}Model")(config), processor, tmp_path)
    assert extractor(tmp_path, device="cpu").version_hash != before


def test_the_vector_of_a_clip_model_is_its_image_embedding(clip):
    folder, model, processor, _ = clip
    with torch.inference_mode():
        hidden = model.vision_model(pixel_values=prepared(processor)).pooler_output
        expected = model.visual_projection(hidden).numpy()
    assert expected.shape == (5, 8)
    np.testing.assert_allclose(extractor(folder, device="cpu").features(IMAGES), expected, atol=1e-5)
    np.testing.assert_allclose(ClipModel(folder, device="cpu").embed_images(list(IMAGES)), expected, atol=1e-5)


def test_texts_are_embedded_as_the_model_does(clip):
    folder, model, _, tokenizer = clip
    texts = ["a b", "c", "h g f e d c b a"]
    tokens = tokenizer(texts, padding=True, return_tensors="pt")
    assert tokens["input_ids"].max() > 9  # ends of words are known: the vocabulary is not the two special tokens
    with torch.inference_mode():
        expected = model.text_projection(model.text_model(**tokens).pooler_output).numpy()
    embed = ClipModel(folder, device="cpu").embed_texts
    np.testing.assert_allclose(embed(texts), expected, atol=1e-5)
    long, cut = embed(["c " * 40, "c " * 14])
    np.testing.assert_allclose(long, cut, atol=1e-6)


def test_a_folder_scores_two_sets(clip):
    folder = clip[0]
    both = np.concatenate([IMAGES, 255 - IMAGES])
    found = score(both, both[::-1].copy(), "cmmd,vendi", extractor=folder, cache=False, device="cpu")
    assert found["cmmd"].value == pytest.approx(0, abs=1e-9)
    assert 1 <= found["vendi"].value <= 10
    assert features(both, extractor(folder, device="cpu"), cache=False).values.shape == (10, 8)


def test_folders_that_transformers_cannot_read_are_told(clip):
    folder = clip[0]
    weights, config = (folder / "model.safetensors").read_bytes(), json.loads((folder / "config.json").read_text())
    (folder / "model.safetensors").write_bytes(weights[:-100])
    with pytest.raises(InputError, match="cannot load"):
        extractor(folder, device="cpu")
    (folder / "model.safetensors").write_bytes(weights)
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "no-such-model"}))
    with pytest.raises(InputError, match="cannot load"):
        ClipModel(folder, device="cpu")
    with pytest.raises(InputError, match="cannot load"):
        extractor(folder, device="cpu")
