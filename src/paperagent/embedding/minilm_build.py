"""Build all-MiniLM-L6-v2 as ONNX from its weights, without PyTorch.

The graph is BERT (Devlin et al. 2019, arXiv:1810.04805) with 6 layers, 12 heads and 384
dimensions, followed by masked mean pooling and L2 normalization (Reimers & Gurevych 2019,
arXiv:1908.10084). It has two outputs: ``embedding`` [batch, 384], and ``tokens``
[batch, length, 384], the token states after layer 5, which the sentence scorer compares
with the words of a question (they separate word senses better than the last layer, which is
tuned for the pooled vector).

Needs the ``models`` extra (onnx, safetensors); imported only by ``paperagent models pull``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from paperagent.embedding.minilm import MiniLM, Precision
from paperagent.errors import ConfigError

if TYPE_CHECKING:
    from paperagent.types import Vector

LAYERS, HEADS, DIM, FFN = 6, 12, 384, 1536
TOKEN_LAYER = 5
"""The layer (1-based) whose token states the graph also returns."""

PROBE = "Graphène-based LLMs answered 3.5× faster (p < 0.05) than BERT_base; see arXiv:1810.04805, 中文."
"""Accents, case, digits, symbols and CJK: a tokenizer with other settings gives a different vector."""
FP32_TOLERANCE = 1e-4
"""Maximum difference of a value from the pinned one (measured between machines: 1.5e-7)."""
INT8_COSINE = 0.98
"""Minimum cosine between the two precisions of the probe (measured: .99; with one scale per tensor: .93)."""

Weights = Mapping[str, NDArray[np.float32]]


def read_safetensors(path: Path) -> dict[str, NDArray[np.float32]]:
    """Return the weights in a ``model.safetensors`` file by their published names."""
    from safetensors.numpy import load_file

    return {
        name.removeprefix("bert."): np.asarray(value, np.float32)
        for name, value in load_file(str(path)).items()
        if not name.endswith("position_ids") and not name.startswith("pooler.")
    }


def read_onnx(path: Path) -> dict[str, NDArray[np.float32]]:
    """Recover the same weights from an exported ONNX file, such as the one Chroma uses.

    Exporters keep the names of biases, norms and embeddings but rename and transpose the matrices of
    linear layers. Each matrix is found by walking back from the addition of its bias.
    """
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(path)).graph
    tensors = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    producers = {output: node for node in graph.node for output in node.output}
    weights: dict[str, NDArray[np.float32]] = {}
    for node in graph.node:
        if node.op_type != "Add":
            continue
        bias = next((n for n in node.input if _short(n).endswith("dense.bias") or ".self." in n), None)
        if bias is None or bias not in tensors:
            continue
        other = next(n for n in node.input if n != bias)
        matmul = producers.get(other)
        if matmul is not None and matmul.op_type == "MatMul" and matmul.input[1] in tensors:
            name = _short(bias).removesuffix("bias") + "weight"
            weights[name] = np.ascontiguousarray(tensors[matmul.input[1]].T, np.float32)
    for name, value in tensors.items():
        if _short(name).startswith(("embeddings.", "encoder.")) and not name.endswith("position_ids"):
            weights.setdefault(_short(name), np.asarray(value, np.float32))
    return weights


def _short(name: str) -> str:
    """Return the published name of a weight, without the prefix of a wrapper module (``bert.``)."""
    match = re.search(r"(?:^|\.)((?:embeddings|encoder)\..+)", name)
    return match[1] if match else name


def digest(weights: Weights) -> str:
    """Return a SHA-256 over all weights in name order. It does not depend on the file format.

    Raises:
        KeyError: A weight of the architecture is missing.
    """
    sha = hashlib.sha256()
    for name in sorted(expected_names()):
        sha.update(name.encode())
        sha.update(np.ascontiguousarray(weights[name], "<f4").tobytes())
    return sha.hexdigest()


def expected_names() -> list[str]:
    """Return the names of the weights that the graph uses."""
    names = [f"embeddings.{n}_embeddings.weight" for n in ("word", "position", "token_type")]
    names += [f"embeddings.LayerNorm.{p}" for p in ("weight", "bias")]
    for layer in range(LAYERS):
        for part in (
            "attention.self.query", "attention.self.key", "attention.self.value",
            "attention.output.dense", "attention.output.LayerNorm",
            "intermediate.dense", "output.dense", "output.LayerNorm",
        ):  # fmt: skip
            names += [f"encoder.layer.{layer}.{part}.{p}" for p in ("weight", "bias")]
    return names


def build(weights: Weights, path: Path) -> None:
    """Write the ONNX graph (opset 17, float32) to ``path``."""
    import onnx

    graph = _Graph(weights)
    hidden = graph.embeddings()
    bias = graph.attention_bias()
    tokens = hidden
    for layer in range(LAYERS):
        hidden = graph.layer(hidden, bias, f"encoder.layer.{layer}")
        if layer + 1 == TOKEN_LAYER:
            tokens = hidden
    graph.node("Identity", [tokens], output="tokens")
    graph.pool(hidden)
    model = graph.model()
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def quantize(source: Path, target: Path) -> None:
    """Write the dynamic int8 form of ``source``, with one scale per output channel.

    With one scale per tensor the mean cosine to float32 falls from .995 to .935.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.quant_utils import add_pre_process_metadata

    model = onnx.load(str(source))
    # The graph needs no preparation. Without this mark onnxruntime recommends it through the root
    # logger, which that call would configure for the caller.
    add_pre_process_metadata(model)
    quantize_dynamic(model, target, per_channel=True, weight_type=QuantType.QInt8)


def check_vectors(folder: Path, expected: Sequence[float]) -> None:
    """Run the model in ``folder`` on `PROBE`.

    Args:
        folder: Holds both precisions and the tokenizer.
        expected: The first values of the vector at full precision.

    Raises:
        ConfigError: The vector differs, or int8 deviates too far from fp32.
    """
    full = probe_vector(folder, "fp32")
    deviation = max(abs(float(a) - b) for a, b in zip(full, expected, strict=False))
    cosine = float(full @ probe_vector(folder, "int8"))
    if deviation > FP32_TOLERANCE or cosine < INT8_COSINE:
        raise ConfigError(
            f"models pull: the built model gives wrong vectors (off by {deviation:.1e}, int8 cosine "
            f"{cosine:.3f}); report it with the versions of onnx and onnxruntime"
        )


def probe_vector(folder: Path, precision: Precision) -> Vector:
    """Return the vector of `PROBE` from the model in ``folder``."""
    return next(iter(MiniLM.load(folder, precision=precision, threads=1).embed([PROBE])))


class _Graph:
    """Collects nodes and initializers; one method per block of the architecture."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.nodes: list[Any] = []
        self.tensors: dict[str, NDArray[Any]] = {}

    def node(self, kind: str, inputs: list[str], *, output: str | None = None, **attrs: Any) -> str:
        from onnx import helper

        output = output or f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], **attrs))
        return output

    def tensor(self, name: str, value: NDArray[Any]) -> str:
        self.tensors[name] = value
        return name

    def const(self, name: str, *values: float, dtype: Any = np.float32) -> str:
        return self.tensor(name, np.array(values if len(values) > 1 else values[0], dtype))

    def shape(self, name: str, *values: int) -> str:
        return self.tensor(name, np.array(values, np.int64))

    def weight(self, name: str, *, transpose: bool = False) -> str:
        value = np.asarray(self.weights[name], np.float32)
        return self.tensor(name, np.ascontiguousarray(value.T) if transpose else value)

    def linear(self, x: str, name: str) -> str:
        y = self.node("MatMul", [x, self.weight(f"{name}.weight", transpose=True)])
        return self.node("Add", [y, self.weight(f"{name}.bias")])

    def norm(self, x: str, name: str) -> str:
        scale, bias = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return self.node("LayerNormalization", [x, scale, bias], axis=-1, epsilon=1e-12)

    def embeddings(self) -> str:
        words = self.node("Gather", [self.weight("embeddings.word_embeddings.weight"), "input_ids"])
        length = self.node(
            "Gather", [self.node("Shape", ["input_ids"]), self.const("one_i", 1, dtype=np.int64)]
        )
        bounds = [self.const("zero_i", 0, dtype=np.int64), length, "one_i"]
        positions = self.node("Range", bounds)
        position = self.node("Gather", [self.weight("embeddings.position_embeddings.weight"), positions])
        kind = self.tensor(
            "token_type", np.asarray(self.weights["embeddings.token_type_embeddings.weight"][0])
        )
        total = self.node("Add", [self.node("Add", [words, position]), kind])
        return self.norm(total, "embeddings.LayerNorm")

    def attention_bias(self) -> str:
        """Return 0 for tokens and a large negative number for padding: [batch, 1, 1, length]."""
        mask = self.node("Cast", ["attention_mask"], to=1)
        expanded = self.node("Unsqueeze", [mask, self.shape("axes_12", 1, 2)])
        return self.node(
            "Mul", [self.node("Sub", [self.const("one", 1.0), expanded]), self.const("low", -10000.0)]
        )

    def heads(self, x: str, name: str, perm: list[int]) -> str:
        split = self.node("Reshape", [self.linear(x, name), self.shape("split", 0, 0, HEADS, DIM // HEADS)])
        return self.node("Transpose", [split], perm=perm)

    def layer(self, x: str, bias: str, name: str) -> str:
        query = self.heads(x, f"{name}.attention.self.query", [0, 2, 1, 3])
        key = self.heads(x, f"{name}.attention.self.key", [0, 2, 3, 1])
        value = self.heads(x, f"{name}.attention.self.value", [0, 2, 1, 3])
        scores = self.node("MatMul", [query, key])
        scores = self.node("Div", [scores, self.const("root", (DIM / HEADS) ** 0.5)])
        weights = self.node("Softmax", [self.node("Add", [scores, bias])], axis=-1)
        mixed = self.node("Transpose", [self.node("MatMul", [weights, value])], perm=[0, 2, 1, 3])
        merged = self.node("Reshape", [mixed, self.shape("merge", 0, 0, DIM)])
        out = self.linear(merged, f"{name}.attention.output.dense")
        x = self.norm(self.node("Add", [out, x]), f"{name}.attention.output.LayerNorm")
        inner = self.gelu(self.linear(x, f"{name}.intermediate.dense"))
        out = self.linear(inner, f"{name}.output.dense")
        return self.norm(self.node("Add", [out, x]), f"{name}.output.LayerNorm")

    def gelu(self, x: str) -> str:
        """Add an exact GELU in the five nodes that onnxruntime fuses into one."""
        scaled = self.node("Div", [x, self.const("root2", 2.0**0.5)])
        shifted = self.node("Add", [self.node("Erf", [scaled]), "one"])
        return self.node("Mul", [self.node("Mul", [x, shifted]), self.const("half", 0.5)])

    def pool(self, x: str) -> None:
        """Add the mean over real tokens, scaled to unit length."""
        mask = self.node("Cast", ["attention_mask"], to=1)
        expanded = self.node("Unsqueeze", [mask, self.shape("axis_2", 2)])
        total = self.node("ReduceSum", [self.node("Mul", [x, expanded]), self.shape("axis_1", 1)], keepdims=0)
        count = self.node("ReduceSum", [mask, "axis_1"], keepdims=1)
        mean = self.node("Div", [total, count])
        self.node("LpNormalization", [mean], output="embedding", axis=-1, p=2)

    def model(self) -> Any:
        from onnx import TensorProto, helper, numpy_helper

        ids = [
            helper.make_tensor_value_info(n, TensorProto.INT64, ["batch", "length"])
            for n in ("input_ids", "attention_mask")
        ]
        outs = [
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", DIM]),
            helper.make_tensor_value_info("tokens", TensorProto.FLOAT, ["batch", "length", DIM]),
        ]
        tensors = [numpy_helper.from_array(v, n) for n, v in self.tensors.items()]
        graph = helper.make_graph(self.nodes, "all-MiniLM-L6-v2", ids, outs, tensors)
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="paperagent"
        )
