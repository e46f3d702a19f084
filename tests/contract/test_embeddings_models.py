"""The local embedding models in process, and the converted model in its cache folder."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from memstream.local.embeddings.conversion import convert
from memstream.local.embeddings.minilm import MiniLm
from memstream.local.embeddings.weights import WeightsError
from memstream.local.embeddings.wordllama import WordLlama

pytest_plugins = ["contract.embeddings_server"]


def test_minilm_gives_the_published_vectors(model_cache: Path) -> None:
    # Texts and float32 similarities of the quick start in the documentation of sentence-transformers.
    vectors = MiniLm(model_cache).encode(
        ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
    )
    np.testing.assert_allclose(
        vectors @ vectors.T,
        [[1.0, 0.6660, 0.1046], [0.6660, 1.0, 0.1411], [0.1046, 0.1411, 1.0]],
        atol=0.02,
    )


def test_texts_are_read_up_to_256_word_pieces(model_cache: Path) -> None:
    model = MiniLm(model_cache)
    # Two of the 256 mark the start and the end.
    cut, whole, longer = model.encode(["word " * 254, "word " * 253, "word " * 254 + "and something else entirely"])
    assert cut @ longer > 0.9999
    assert not np.array_equal(cut, whole)


def test_no_texts_give_no_vectors(model_cache: Path) -> None:
    assert MiniLm(model_cache).encode([]).shape == (0, 384)
    assert WordLlama().encode([]).shape == (0, 256)


def test_a_damaged_model_in_the_cache_is_made_again(model_cache: Path, tmp_path: Path) -> None:
    MiniLm(model_cache)
    shutil.copytree(model_cache, tmp_path, dirs_exist_ok=True)
    (file,) = tmp_path.glob("*/model.bin")
    file.write_bytes(file.read_bytes()[:100_000])
    assert MiniLm(tmp_path).encode(["hello"]).shape == (1, 384)
    assert [folder.name for folder in tmp_path.iterdir()] == [file.parent.name]


def test_other_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"something else")
    with pytest.raises(WeightsError, match="SHA-256"):
        convert(tmp_path, tmp_path / "out")


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="missing"):
        convert(tmp_path, tmp_path / "out")
