"""A model of MiniLM's architecture with random weights and 150 word pieces: made in a second or two."""

from __future__ import annotations

import hashlib
import string
from pathlib import Path
from typing import Any

import numpy as np

from paperagent.embedding import minilm_build as minilm_graph
from paperagent.embedding.minilm import MiniLM
from paperagent.embedding.minilm_download import Release

WORDS = ("the", "cat", "sat", "on", "mat", "neural", "network", "learn", "##ing", "中", "文", "é")


def weights(seed: int = 0) -> dict[str, Any]:
    """Return random weights, scaled so that activations stay moderate."""
    rng = np.random.default_rng(seed)
    names = minilm_graph.expected_names()
    return {name: _random(rng, name) for name in names}


def _random(rng: np.random.Generator, name: str) -> Any:
    dim, ffn = minilm_graph.DIM, minilm_graph.FFN
    if "LayerNorm" in name:
        return np.full(dim, float(name.endswith("weight")), np.float32)
    if name.endswith("bias"):
        size: tuple[int, ...] = (ffn if ".intermediate." in name else dim,)
    elif "_embeddings" in name:
        rows = {"word": len(vocabulary()), "position": 512, "token_type": 2}
        size = (rows[name.split(".")[1].removesuffix("_embeddings")], dim)
    elif ".intermediate." in name:
        size = (ffn, dim)
    else:
        size = (dim, ffn) if ".attention." not in name and "output" in name else (dim, dim)
    return rng.normal(0, 0.05, size).astype(np.float32)


def vocabulary() -> list[str]:
    """Return the word pieces in id order."""
    signs = [c for c in string.printable if c.isprintable() and c != " " and not c.isupper()]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *signs]
    return [*pieces, *(f"##{c}" for c in string.ascii_lowercase + string.digits), *WORDS]


def vocabulary_sha256() -> str:
    """Return what `Release.vocabulary_sha256` pins."""
    return hashlib.sha256("".join(f"{piece}\n" for piece in vocabulary()).encode()).hexdigest()


def write_tokenizer(path: Path) -> None:
    """Write a tokenizer set up as the published one is, padding included."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    ids = {piece: i for i, piece in enumerate(vocabulary())}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))  # noqa: S106 - a word piece, no password
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    ends = [("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    tokenizer.enable_truncation(128)
    tokenizer.enable_padding(length=128)
    tokenizer.save(str(path))


def write_export(values: dict[str, Any], path: Path, *, prefix: str = "") -> None:
    """Write the network as an exporter does: no pooling, linear weights anonymous and transposed."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    graph = minilm_graph._Graph(values)
    hidden = graph.embeddings()
    bias = graph.attention_bias()
    for layer in range(minilm_graph.LAYERS):
        hidden = graph.layer(hidden, bias, f"encoder.layer.{layer}")
    graph.node("Identity", [hidden], output="last_hidden_state")
    kinds = "embeddings.token_type_embeddings.weight"
    names = {n: f"{prefix}{n}" for n in graph.tensors if n.startswith(("embeddings.", "encoder."))}
    matrices = [node.input[1] for node in graph.nodes if node.op_type == "MatMul"]
    names |= {n: f"onnx::MatMul_{900 + i}" for i, n in enumerate(matrices) if n in graph.tensors}
    for node in graph.nodes:
        for place, name in enumerate(node.input):
            node.input[place] = names.get(name, name)
    stored = {names.get(n, n): v for n, v in graph.tensors.items()} | {f"{prefix}{kinds}": values[kinds]}
    inputs = ("input_ids", "attention_mask", "token_type_ids")
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "export",
            [helper.make_tensor_value_info(n, TensorProto.INT64, ["b", "s"]) for n in inputs],
            [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["b", "s", 384])],
            [numpy_helper.from_array(v, n) for n, v in stored.items()],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    onnx.save(model, str(path))


def build(folder: Path) -> dict[str, Any]:
    """Write fp32.onnx, int8.onnx and tokenizer.json into ``folder``; return the weights."""
    values = weights()
    minilm_graph.build(values, folder / "fp32.onnx")
    minilm_graph.quantize(folder / "fp32.onnx", folder / "int8.onnx")
    write_tokenizer(folder / "tokenizer.json")
    return values


def release(folder: Path, values: dict[str, Any], probe: str, **hashes: str) -> Release:
    """Return the pins of the model in ``folder``; ``hashes`` give those of its archives."""
    vector = next(iter(MiniLM.load(folder, precision="fp32").embed([probe])))
    return Release(
        weights_digest=minilm_graph.digest(values),
        vocabulary_sha256=vocabulary_sha256(),
        probe=tuple(float(v) for v in vector[:8]),
        **hashes,
    )
