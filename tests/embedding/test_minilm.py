"""The local encoder: a small random model for behaviour, the real one, where it is, for meaning."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import platformdirs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tiny_minilm
from paperagent.embedding import minilm as embed
from paperagent.embedding import minilm_build as minilm_graph
from paperagent.embedding.minilm import MiniLM, find_model_folder
from paperagent.embedding.minilm_build import PROBE, probe_vector
from paperagent.embedding.minilm_download import RELEASE
from paperagent.errors import ConfigError

TEXTS = [
    "The cat sat on the mat.",
    "",
    "Neural networks",
    "learning, learning",
    "中文 é",
    "x" * 5000,
    "the " * 400,
]


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("model")
    tiny_minilm.build(made)
    return made


@pytest.fixture(scope="session")
def model(folder) -> MiniLM:
    return MiniLM.load(folder)


@pytest.fixture
def copy(folder, tmp_path) -> Path:
    """Give a copy of the model's folder that a test may damage."""
    return Path(shutil.copytree(folder, tmp_path / "copy"))


@pytest.fixture(scope="session")
def real() -> Path:
    """Give the folder of the real model, or skip."""
    given_dir = os.environ.get("PAPERAGENT_MODEL_DIR")
    found = find_model_folder(
        Path(given_dir) if given_dir else None, platformdirs.user_cache_path("paperagent")
    )
    if found is None:
        pytest.skip("the real model is not on this machine: paperagent models pull")
    return found


def rows(model: MiniLM, texts: list[str]) -> np.ndarray:
    return np.stack(list(model.embed(texts)))


def test_vectors_are_unit_rows_in_the_order_of_the_texts(model):
    """One float32 vector of length one for each text, in order, whatever the lengths."""
    vectors = rows(model, TEXTS)
    assert vectors.shape == (len(TEXTS), model.dim)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    for text, vector in zip(TEXTS, vectors, strict=True):
        assert np.array_equal(vector, rows(model, [text])[0])


def test_a_vector_does_not_depend_on_its_neighbors(model):
    """int8 vectors are the same bytes alone, in company, in any order, on any number of threads."""
    texts = [f"{word} {i}" * i for i, word in enumerate(["cat", "mat", "neural", "sat"] * 6)]
    together = rows(model, texts)
    assert np.array_equal(together, rows(model, texts[::-1])[::-1])
    single = MiniLM(model._network, model._tokenizer, embedder_id="x", threads=1)
    assert np.array_equal(together, rows(single, texts))


def test_texts_are_read_only_a_little_ahead(model):
    """A long source is not drained before its vectors are wanted, and stopping early is clean."""
    read: list[int] = []
    before = threading.active_count()
    vectors = model.embed(read.append(i) or "cat" for i in range(10_000))
    next(vectors)
    assert len(read) <= model._threads * embed._TEXTS_PER_THREAD
    vectors.close()
    assert threading.active_count() == before


def test_an_error_of_the_source_reaches_the_caller(model):
    """An exception of the iterable of texts is not swallowed by the pool."""

    def texts():
        yield "cat"
        raise RuntimeError("feed broke")

    with pytest.raises(RuntimeError, match="feed broke"):
        list(model.embed(texts()))


def test_spans_are_code_points_of_the_text(model):
    """Each token's span cuts the token out of the text, beside emoji, accents and CJK too."""
    text = "The 😀 cat—naïve café, 中文 MAT"
    encoded = model.encode([text])[0]
    pieces = [text[start:end] for start, end in encoded.spans]
    for word in ("The", "cat", "中", "文", "MAT", ","):
        assert word in pieces
    assert encoded.states.shape == (len(pieces), 384)


@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=120))
def test_any_text_can_be_encoded(model, text):
    """No text breaks the encoder; spans lie inside the text, in order; rows are unit or absent."""
    encoded = model.encode([text])[0]
    assert len(encoded.spans) == len(encoded.states)
    assert all(0 <= start <= end <= len(text) for start, end in encoded.spans)
    assert list(encoded.spans) == sorted(encoded.spans)
    assert np.allclose(np.linalg.norm(encoded.states, axis=1), 1, atol=1e-5)
    assert np.isclose(np.linalg.norm(encoded.vector), 1, atol=1e-5)


def test_encode_and_embed_agree(model):
    """The pooled vector is the same from both."""
    for encoded, vector in zip(model.encode(TEXTS), model.embed(TEXTS), strict=True):
        assert np.array_equal(encoded.vector, vector)


def test_lone_surrogates_keep_the_spans(model):
    """Half a surrogate pair becomes one replacement character: what follows stays in place."""
    text = "cat \ud83d mat"
    spans = model.encode([text])[0].spans
    assert "mat" in [text[start:end] for start, end in spans]


def test_special_tokens_in_a_text_are_text(model):
    """A "[SEP]" that an abstract holds is spelled out, not taken as a signal."""
    spans = model.encode(["cat [SEP] mat"])[0].spans
    assert (4, 5) in spans
    assert (8, 9) in spans


def test_long_texts_are_cut(model):
    """256 tokens count, special ones included; what follows changes nothing."""
    encoded = model.encode(["the " * 400])[0]
    assert len(encoded.spans) == 254
    assert np.array_equal(encoded.vector, model.encode(["the " * 400 + "neural"])[0].vector)


def test_identity(folder, model):
    """The id names model and precision; vectors of the two differ, though little."""
    full = MiniLM.load(folder, precision="fp32")
    assert (model.embedder_id, full.embedder_id) == ("minilm-l6-v2-int8", "minilm-l6-v2-fp32")
    cosines = (rows(full, TEXTS) * rows(model, TEXTS)).sum(axis=1)
    assert (cosines > 0.9).all()
    assert (cosines < 1 - 1e-7).any()


def test_folder_with_an_export_without_pooling(folder, tmp_path):
    """Chroma's kind of file gives the vectors of our full-precision graph, pooled here."""
    tiny_minilm.write_export(tiny_minilm.weights(), tmp_path / "model.onnx")
    shutil.copy(folder / "tokenizer.json", tmp_path)
    foreign = MiniLM.load(tmp_path)
    assert foreign.embedder_id == "minilm-l6-v2-fp32"
    ours = MiniLM.load(folder, precision="fp32")
    assert np.allclose(rows(foreign, TEXTS), rows(ours, TEXTS), atol=1e-5)
    for mine, other in zip(ours.encode(TEXTS), foreign.encode(TEXTS), strict=True):
        assert mine.spans == other.spans
        assert np.allclose(np.linalg.norm(other.states, axis=1), 1, atol=1e-5)


def test_threads_share_one_encoder(model):
    """Several threads using one encoder get the vectors that one would get."""
    expected = rows(model, TEXTS)
    results: list[np.ndarray] = []
    threads = [threading.Thread(target=lambda: results.append(rows(model, TEXTS))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert all(np.array_equal(result, expected) for result in results)


@pytest.mark.parametrize("missing", ["int8.onnx", "tokenizer.json"])
def test_missing_file_is_named(copy, missing):
    """A folder that lacks a file is a configuration error naming the file, for load and for find."""
    (copy / missing).unlink()
    if missing == "int8.onnx":
        (copy / "fp32.onnx").unlink()
    with pytest.raises(ConfigError, match=f"{missing} is missing; run `paperagent models pull`"):
        MiniLM.load(copy)
    with pytest.raises(ConfigError, match=missing):
        find_model_folder(copy, copy)


def test_missing_precision_is_named(copy):
    """Full precision cannot be had from the int8 file; the other way round it is used and said."""
    (copy / "fp32.onnx").rename(copy / "kept")
    with pytest.raises(ConfigError, match=r"fp32\.onnx is missing"):
        MiniLM.load(copy, precision="fp32")
    (copy / "kept").rename(copy / "fp32.onnx")
    (copy / "int8.onnx").unlink()
    assert MiniLM.load(copy).embedder_id == "minilm-l6-v2-fp32"


def test_missing_folder_is_named(tmp_path):
    """A folder that is not there is a configuration error; control characters are escaped."""
    with pytest.raises(ConfigError, match=r"no\\x1b\[31mway: does not exist"):
        find_model_folder(tmp_path / "no\x1b[31mway", tmp_path)


def test_cut_file_is_found_by_its_size(copy):
    """With a manifest, a file of another length is refused before it is read."""
    size = (copy / "int8.onnx").stat().st_size
    (copy / "manifest.json").write_text(json.dumps({"files": {"int8.onnx": {"size": size, "sha256": ""}}}))
    MiniLM.load(copy)
    with (copy / "int8.onnx").open("r+b") as file:
        file.truncate(size // 2)
    with pytest.raises(ConfigError, match=f"{size // 2} bytes instead of {size}"):
        MiniLM.load(copy)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"files": 3}', '{"files": {"a": 1}}', "\xff"])
def test_damaged_manifest_is_a_configuration_error(copy, text):
    """A manifest that cannot be read is named."""
    (copy / "manifest.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"manifest\.json"):
        MiniLM.load(copy)


@pytest.mark.parametrize("name", ["int8.onnx", "tokenizer.json"])
@pytest.mark.parametrize("content", [b"", b"nonsense", b"{}"])
def test_damaged_file_is_a_configuration_error(copy, name, content):
    """A file of rubbish is named, not shown as a traceback of the library that reads it."""
    (copy / name).write_bytes(content)
    with pytest.raises(ConfigError, match=name):
        MiniLM.load(copy)


def test_network_with_other_inputs_is_refused(copy):
    """Some other ONNX file is no sentence encoder."""
    from onnx import TensorProto, helper, save

    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1]) for n in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", values[:1], values[1:])
    save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
        copy / "int8.onnx",
    )
    with pytest.raises(ConfigError, match="not a sentence encoder"):
        MiniLM.load(copy)


def test_values_that_are_not_finite_are_refused(copy):
    """A NaN never leaves the encoder, by either way."""
    broken = tiny_minilm.weights()
    broken["encoder.layer.5.output.dense.bias"][3] = np.nan
    minilm_graph.build(broken, copy / "fp32.onnx")
    model = MiniLM.load(copy, precision="fp32")
    with pytest.raises(ConfigError, match="not 384 finite numbers"):
        list(model.embed(["cat"]))
    with pytest.raises(ConfigError, match="not 384 finite numbers"):
        model.encode(["cat"])


def test_find_model_looks_in_order(copy, tmp_path, monkeypatch):
    """The given folder first, then our cache, then Chroma's; a folder without the files is passed over."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    cache, chroma = tmp_path / "cache", embed.chroma_cache()
    assert find_model_folder(None, cache) is None
    chroma.mkdir(parents=True)
    (chroma / "model.onnx").touch()
    assert find_model_folder(None, cache) is None
    (chroma / "tokenizer.json").touch()
    assert find_model_folder(None, cache) == chroma
    shutil.copytree(copy, cache / "all-MiniLM-L6-v2")
    assert find_model_folder(None, cache) == cache / "all-MiniLM-L6-v2"
    assert find_model_folder(copy, cache) == copy


def test_importing_loads_nothing_heavy():
    """The modules of this part cost next to nothing until they are used."""
    heavy = {"numpy", "onnxruntime", "tokenizers", "onnx", "safetensors", "openai", "tenacity", "httpx2"}
    code = f"""
import sys, paperagent.embedding.minilm
import paperagent.embedding.minilm_download
import paperagent.embedding.openai, paperagent.testing
print(sorted({heavy} & set(sys.modules)))"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_memory_stays_flat_over_many_lengths(model):
    """After a few hundred texts of all lengths, as many again take no more memory."""
    if not Path("/proc/self/statm").exists():
        pytest.skip("needs /proc to see resident memory")
    texts = ["the " * (i * 37 % 250) for i in range(200)]
    rows(model, texts)
    before = _resident()
    rows(model, texts[::-1])
    assert _resident() - before < 20 << 20


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_real_model_gives_the_published_vectors(real):
    """The probe's vector is the pinned one, which PyTorch gives as well (to 1e-7 at full precision)."""
    model = MiniLM.load(real)
    tolerance = 1e-4 if model.embedder_id.endswith("fp32") else 0.02
    vector = next(iter(model.embed([PROBE])))
    assert np.allclose(vector[: len(RELEASE.probe)], RELEASE.probe, atol=tolerance)
    assert np.array_equal(vector, probe_vector(real, "int8"))


def test_real_model_knows_meaning(real):
    """A paraphrase without a common word is nearer than an unrelated sentence."""
    asked, same, other = rows(
        MiniLM.load(real),
        [
            "Large language models are distracted by irrelevant context.",
            "Superfluous facts throw LLMs off.",
            "The cat sat on the mat.",
        ],
    )
    assert asked @ same > asked @ other + 0.1
