"""llama.cpp's real server on a tiny model with random weights: schema-valid nonsense.

It needs ``pip install xllamacpp gguf``, no model file and no compiler. As a script it serves
until its input ends and prints its address first::

    python tests/llama_server.py            # http://127.0.0.1:40123/v1

What it answers has the form that was asked for and means nothing: what a citation check must
survive.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CONTEXT = 32_768
"""Tokens; a token is one byte here."""
LAYERS, WIDTH, HEADS, INNER = 2, 64, 4, 128
MODEL = "tiny-random"


def missing() -> str | None:
    """Return why the server cannot run here, or None."""
    lacking = [name for name in ("xllamacpp", "gguf") if importlib.util.find_spec(name) is None]
    return f"needs pip install {' '.join(lacking)}" if lacking else None


def write_model(path: Path, *, seed: int = 7) -> None:
    """Write a llama of random weights whose tokens are the 256 bytes."""
    import gguf
    import numpy as np

    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    kinds = gguf.TokenType
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types([kinds.UNKNOWN, kinds.CONTROL, kinds.CONTROL, *[kinds.BYTE] * 256])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_space_prefix(False)
    draw = np.random.default_rng(seed)
    for name, shape in _tensors(len(tokens)):
        weights = np.ones(shape) if name.endswith("norm.weight") else draw.normal(0, 0.5, shape)
        if name == "output.weight":
            weights[3 + 128 :] = 0  # characters of several bytes would come out broken
            weights[3 + ord('"')] *= 3  # texts end some time
        writer.add_tensor(name, weights.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _tensors(vocabulary: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield "token_embd.weight", (vocabulary, WIDTH)
    yield "output_norm.weight", (WIDTH,)
    yield "output.weight", (vocabulary, WIDTH)
    for layer in range(LAYERS):
        yield f"blk.{layer}.attn_norm.weight", (WIDTH,)
        yield f"blk.{layer}.ffn_norm.weight", (WIDTH,)
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            yield f"blk.{layer}.{name}.weight", (WIDTH, WIDTH)
        yield f"blk.{layer}.ffn_gate.weight", (INNER, WIDTH)
        yield f"blk.{layer}.ffn_up.weight", (INNER, WIDTH)
        yield f"blk.{layer}.ffn_down.weight", (WIDTH, INNER)


def start(model: Path) -> Any:
    """Start the server in this process; its ``listening_address`` says where."""
    import xllamacpp

    options = xllamacpp.CommonParams()
    options.model.path = str(model)
    options.model_alias = {MODEL}
    options.n_ctx = CONTEXT
    options.n_parallel = 1
    options.cpuparams.n_threads = 1  # several would spin in wait of each other on a busy machine
    options.endpoint_metrics = False
    options.warmup = False
    options.port = 0
    return xllamacpp.Server(options)


@contextmanager
def serving() -> Iterator[str]:
    """Give the base address of a server in a process of its own."""
    command = [sys.executable, str(Path(__file__).resolve())]
    pipe, silent = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=silent, text=True) as process:
        assert process.stdin
        assert process.stdout
        try:
            address = process.stdout.readline().strip()
            if not address:
                raise RuntimeError("llama.cpp's server did not start")
            yield address
        finally:
            process.stdin.close()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()


def main() -> None:
    """Serve until the input ends."""
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / f"{MODEL}.gguf"
        write_model(model)
        server = start(model)
        sys.stdout.write(f"{server.listening_address}/v1\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
