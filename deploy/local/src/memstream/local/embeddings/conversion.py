"""Converts the published weights of all-MiniLM-L6-v2 to an int8 CTranslate2 model."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from ctranslate2.specs.common_spec import Activation, LayerNormSpec, LinearSpec
from ctranslate2.specs.transformer_spec import TransformerEncoderModelSpec, TransformerEncoderSpec
from safetensors import safe_open
from tokenizers import Tokenizer

from memstream.local.embeddings.weights import MINILM_PACKAGE, MINILM_SHA256, WeightsError

# The model's config.json.
_LAYERS = 6
_HEADS = 12
_LAYER_NORM_EPSILON = 1e-12

_Tensor = Callable[[str], npt.NDArray[np.float32]]


def convert(source: Path, folder: Path) -> None:
    """Convert the model in `source`, and write it into `folder`.

    Raises `WeightsError` if the weights are missing or not the expected ones.
    """
    weights = source / "model.safetensors"
    try:
        with weights.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as missing:
        raise WeightsError(f"{weights} is missing: install {MINILM_PACKAGE} again") from missing
    if digest != MINILM_SHA256:
        raise WeightsError(f"{weights} has SHA-256 {digest}, expected {MINILM_SHA256}: install {MINILM_PACKAGE} again")

    encoder = TransformerEncoderSpec(
        _LAYERS, _HEADS, pre_norm=False, activation=Activation.GELU, layernorm_embedding=True
    )
    with safe_open(weights, framework="numpy") as tensors:
        _fill(encoder, tensors.get_tensor)
    model = TransformerEncoderModelSpec(encoder)
    model.config.layer_norm_epsilon = _LAYER_NORM_EPSILON
    model.config.unk_token = "[UNK]"  # noqa: S105 - a word piece, not a secret
    vocabulary = Tokenizer.from_file(str(source / "tokenizer.json")).get_vocab()
    model.register_vocabulary(sorted(vocabulary, key=vocabulary.__getitem__))
    model.validate()
    model.optimize(quantization="int8")
    model.save(str(folder))


def _linear(spec: LinearSpec, tensor: _Tensor, *names: str) -> None:
    """Set a linear layer; several names become one fused layer."""
    spec.weight = np.concatenate([tensor(f"{name}.weight") for name in names])
    spec.bias = np.concatenate([tensor(f"{name}.bias") for name in names])  # type: ignore[assignment] # declared by its placeholder


def _layer_norm(spec: LayerNormSpec, tensor: _Tensor, name: str) -> None:
    spec.gamma = tensor(f"{name}.weight")
    spec.beta = tensor(f"{name}.bias")


def _fill(encoder: TransformerEncoderSpec, tensor: _Tensor) -> None:
    encoder.scale_embeddings = False
    encoder.embeddings[0].weight = tensor("embeddings.word_embeddings.weight")
    # Every token of a single text has type 0, so that type's vector can be part of the positions, in full precision.
    encoder.position_encodings.encodings = (
        tensor("embeddings.position_embeddings.weight") + tensor("embeddings.token_type_embeddings.weight")[0]
    )
    _layer_norm(encoder.layernorm_embedding, tensor, "embeddings.LayerNorm")
    for number, layer in enumerate(encoder.layer):
        name = f"encoder.layer.{number}"
        parts = [f"{name}.attention.self.{part}" for part in ("query", "key", "value")]
        _linear(layer.self_attention.linear[0], tensor, *parts)
        _linear(layer.self_attention.linear[1], tensor, f"{name}.attention.output.dense")
        _layer_norm(layer.self_attention.layer_norm, tensor, f"{name}.attention.output.LayerNorm")
        _linear(layer.ffn.linear_0, tensor, f"{name}.intermediate.dense")
        _linear(layer.ffn.linear_1, tensor, f"{name}.output.dense")
        _layer_norm(layer.ffn.layer_norm, tensor, f"{name}.output.LayerNorm")
