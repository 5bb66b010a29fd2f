"""The safetensors format: bit-exact round trips, agreement with the official library, strict refusals."""

import json
import os
import struct
import tracemalloc
from array import array
from pathlib import Path

import pytest

from microgpt_core.components import new_buffer
from microgpt_core.errors import CheckpointError, NonFiniteError, ShapeError
from microgpt_core.storage import SafeTensors, read_safetensors, safetensors, strict_json, write_safetensors


def buffer(format, shape, *bits):
    """A buffer whose numbers have exactly these bits, over and over."""
    x = new_buffer(shape, format)
    code = {4: "I", 8: "Q", 2: "H", 1: "B"}[x.itemsize]
    count = x.nbytes // x.itemsize
    x.cast("B")[:] = struct.pack(f"<{count}{code}", *(bits * count)[:count])
    return x


SPECIALS = {
    # +-0, 1, smallest subnormal, largest, +-infinity, quiet and signalling NaN with payloads
    "f": (0, 0x80000000, 0x3F800000, 1, 0x7F7FFFFF, 0x7F800000, 0xFF800000, 0x7FC12345, 0x7F812345, 0xFFFFFFFF),
    "d": (0, 1 << 63, 0x3FF << 52, 1, 0x7FEF << 48, 0x7FF << 52, 0xFFF << 52, 0x7FF8_0000_0001_2345, (0x7FF << 52) + 1),
    "i": (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF),
    "H": (0, 0x8000, 0x3F80, 1, 0x7F80, 0xFF80, 0x7FC1, 0x7F81),
    "B": tuple(range(256)),
}  # fmt: skip
EVERYTHING = {
    **{f"{format}{shape}": buffer(format, shape, *SPECIALS[format])
       for format in "BHifd" for shape in [(1,), (7,), (3, 5), (1, 2, 1, 3), ()]},
    'a "quoted" näme\n\0 \U0001f600': buffer("f", (2,), 1, 2),
    "": buffer("B", (3,), 1, 2, 3),
}  # fmt: skip


def look(tensors):
    return {name: (x.format, x.shape, bytes(x)) for name, x in tensors.items()}


def file_of(header, body=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def read(data):
    return SafeTensors("x.safetensors", memoryview(data))


def test_round_trip_is_bit_exact_and_keeps_the_order(tmp_path):
    path = tmp_path / "x.safetensors"
    write_safetensors(path, EVERYTHING, {"näme": 'v"\n', "": ""})
    with read_safetensors(path) as tensors:
        assert look(tensors) == look(EVERYTHING)
        assert list(tensors) == list(EVERYTHING)
        assert len(tensors) == len(EVERYTHING)
        assert tensors.metadata == {"näme": 'v"\n', "": "", "format": "pt"}


def test_the_file_is_deterministic_padded_and_aligned(tmp_path):
    first, second = tmp_path / "1", tmp_path / "2"
    write_safetensors(first, EVERYTHING)
    write_safetensors(second, dict(EVERYTHING))
    data = first.read_bytes()
    assert data == second.read_bytes()
    size = int.from_bytes(data[:8], "little")
    assert size % 8 == 0
    header = json.loads(data[8 : 8 + size])
    assert header.pop("__metadata__") == {"format": "pt"}
    for name, entry in header.items():
        assert entry["data_offsets"][0] % EVERYTHING[name].itemsize == 0


def test_buffers_of_one_format_lie_in_the_order_given(tmp_path):
    write_safetensors(tmp_path / "x", {"b": buffer("f", (1,), 1), "a": buffer("f", (1,), 2)})
    assert (tmp_path / "x").read_bytes().endswith(struct.pack("<2I", 1, 2))


def test_no_tensors_at_all(tmp_path):
    write_safetensors(tmp_path / "x", {})
    assert look(read_safetensors(tmp_path / "x")) == {}


def test_the_official_library_reads_ours(tmp_path):
    official = pytest.importorskip("safetensors")
    path = tmp_path / "x.safetensors"
    write_safetensors(path, EVERYTHING, {"step": "7"})
    found = dict(official.deserialize(path.read_bytes()))
    assert {name: (t["dtype"], tuple(t["shape"]), bytes(t["data"])) for name, t in found.items()} == {
        name: (safetensors.DTYPES[x.format], x.shape, bytes(x)) for name, x in EVERYTHING.items()
    }


def test_numpy_sees_the_same_numbers(tmp_path):
    numpy = pytest.importorskip("numpy")
    official = pytest.importorskip("safetensors.numpy")
    arrays = {
        f"{dtype}{shape}": numpy.arange(1, 1 + numpy.prod(shape, dtype=int)).astype(dtype).reshape(shape)
        for dtype in ("float32", "float64", "int32", "uint8")
        for shape in [(4,), (2, 3), ()]
    }
    arrays["nan"] = numpy.array([0x7F812345, 0xFF800000], dtype="uint32").view("float32")
    official.save_file(arrays, tmp_path / "theirs", {"format": "np"})
    theirs = read_safetensors(tmp_path / "theirs")
    assert theirs.metadata == {"format": "np"}
    assert {name: (x.shape, bytes(x)) for name, x in theirs.items()} == {
        name: (x.shape, x.tobytes()) for name, x in arrays.items()
    }
    write_safetensors(tmp_path / "ours", theirs)
    again = official.load_file(tmp_path / "ours")
    assert {name: (x.dtype, x.tobytes()) for name, x in again.items()} == {
        name: (x.dtype, x.tobytes()) for name, x in arrays.items()
    }
    with pytest.importorskip("safetensors").safe_open(tmp_path / "ours", framework="np") as file:
        assert file.metadata() == {"format": "pt"}


def test_buffers_are_read_only_views_that_outlive_the_file_object(tmp_path):
    path = tmp_path / "x"
    write_safetensors(path, {"w": buffer("f", (2, 2), 0x3F800000)})
    with read_safetensors(path) as tensors:
        w = tensors["w"]
        with pytest.raises(TypeError):
            w[0, 0] = 2.0
    assert w.tolist() == [[1.0, 1.0], [1.0, 1.0]]
    assert "w" not in tensors


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="the system doesn't list what is mapped")
def test_the_mapping_goes_with_its_last_buffer(tmp_path):
    path = tmp_path / "only-once"
    write_safetensors(path, {"w": buffer("f", (4,), 1)})

    def mapped():
        return "only-once" in Path("/proc/self/maps").read_text(encoding="utf-8")

    with read_safetensors(path) as tensors:
        w = tensors["w"]
    assert mapped()
    del w
    assert not mapped()


def test_neither_reading_nor_writing_copies_the_numbers(tmp_path):
    tensors = {"w": new_buffer((2_000_000,), "f")}
    tracemalloc.start()
    write_safetensors(tmp_path / "x", tensors)
    found = read_safetensors(tmp_path / "x")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 500_000
    assert found["w"].nbytes == 8_000_000


FINE = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
BODY = bytes(8)


def tensor(**changes):
    return file_of({"w": {**FINE, **changes}}, BODY)


def tensors(*offsets):
    return file_of({name: {**FINE, "data_offsets": pair} for name, pair in zip("abc", offsets)}, bytes(offsets[-1][1]))


REFUSED = {
    "empty file": (b"", "has 0 bytes; expected at least 8"),
    "cut in the size": (b"\x02\0\0\0\0\0\0", "has 7 bytes"),
    "no header": (bytes(8), "begins with b''"),
    "header beyond the file": (b"\x03" + bytes(7) + b"{}", "claims 3 bytes; expected at most 2"),
    "header of 2**64 - 1": (b"\xff" * 8 + b"{}", "claims 18,446,744,073,709,551,615 bytes"),
    "not an object": (file_of([]), "begins with b'\\['"),
    "leading space": (file_of(b" {}"), "begins with b' '"),
    "byte order mark": (file_of(b"\xef\xbb\xbf{}"), "begins with"),
    "trailing text": (file_of(b"{} x"), "Extra data"),
    "zero padding": (file_of(b"{}\0\0"), "Extra data"),
    "not JSON": (file_of(b"{]"), "x.safetensors: Expecting"),
    "not UTF-8": (file_of(b'{"\xff": 1}'), "utf-8"),
    "half a surrogate pair in a name": (file_of(b'{"\\ud800": 1}'), "surrogates not allowed"),
    "half a surrogate pair in metadata": (file_of(b'{"__metadata__": {"a": "\\udc00"}}'), "surrogates not allowed"),
    "a control character": (file_of(b'{"a\n": 1}'), "control character"),
    "a name twice": (file_of(b'{"w": 1, "w": 2}'), "'w' is there twice"),
    "a key twice": (file_of(b'{"w": {"dtype": "F32", "dtype": "F32"}}'), "'dtype' is there twice"),
    "NaN": (tensor(shape=[float("nan")]), "the number NaN"),
    "minus zero": (file_of(b'{"w": {"shape": [-0]}}'), "the number -0;"),
    "a negative axis": (tensor(shape=[-2]), "the number -2"),
    "a fraction": (tensor(shape=[2.0]), "the number 2.0"),
    "a number of 5,000 digits": (file_of(b'{"w": ' + b"9" * 5000 + b"}"), "the number 9{40};"),
    "deep nesting": (file_of(b'{"w": ' + b"[" * 1_000_000), "nested too deeply"),
    "deep nesting that ends": (file_of(b'{"w": ' + b"[" * 500 + b"]" * 500 + b"}"), "tensor 'w' is \\["),
    "null metadata": (file_of({"__metadata__": None}), "metadata are None"),
    "a number as metadata": (file_of({"__metadata__": {"step": 7}}), "metadata are {'step': 7}"),
    "no dictionary": (file_of({"w": ["F32", [2], [0, 8]]}, BODY), "tensor 'w' is \\['F32'"),
    "a missing key": (file_of({"w": {"dtype": "F32", "shape": [2]}}, BODY), "expected dtype, shape and data_offsets"),
    "an unknown key": (tensor(strides=[1]), "expected dtype, shape and data_offsets"),
    "an unknown dtype": (tensor(dtype="F31"), "dtype 'F31'; expected one of F32, F64, I32, BF16, U8"),
    "a dtype that is no text": (tensor(dtype=["F32"]), "dtype \\['F32'\\]"),
    "a shape that is no list": (tensor(shape=2), "shape 2; expected"),
    "true as an axis": (tensor(shape=[True, 2]), "shape \\[True, 2\\]"),
    "an empty axis": (file_of({"w": {**FINE, "shape": [0], "data_offsets": [0, 0]}}), "each at least 1"),
    "too many axes": (tensor(shape=[1] * 64 + [2]), "at most 64 axes"),
    "an overflowing shape": (tensor(shape=[2**62, 2**62, 4]), "has 8 bytes; expected 340,282,366,920,938,463,"),
    "one offset": (tensor(data_offsets=[8]), "expected two whole numbers"),
    "offsets as text": (tensor(data_offsets="08"), "expected two whole numbers"),
    "backward offsets": (tensor(data_offsets=[8, 0]), "has -8 bytes; expected 8 for F32 of shape \\[2\\]"),
    "a size that isn't the shape's": (tensor(data_offsets=[0, 4]), "has 4 bytes; expected 8"),
    "a hole at the start": (tensor(data_offsets=[4, 12]), "tensor 'w' begins at byte 4; expected 0"),
    "an overlap": (tensors([0, 8], [4, 12]), "'b' begins at byte 4; expected 8"),
    "a hole": (tensors([0, 8], [12, 20]), "'b' begins at byte 12; expected 8"),
    "trailing bytes": (file_of({"w": FINE}, bytes(9)), "has 9 bytes of numbers; expected 8"),
    "cut in the numbers": (file_of({"w": FINE}, bytes(7)), "has 7 bytes of numbers; expected 8"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "complaint"), REFUSED.values(), ids=REFUSED)
def test_refused(data, complaint):
    with pytest.raises(CheckpointError, match=complaint) as caught:
        read(data)
    assert str(caught.value).startswith("x.safetensors: ")
    assert len(str(caught.value)) < 500


def test_the_table_of_refusals_is_about_what_it_says():
    assert look(read(tensor())) == {"w": ("f", (2,), BODY)}


def test_a_huge_name_or_value_makes_no_huge_message():
    for header in ({"n" * 10**6: FINE}, {"w": {**FINE, "dtype": "F" * 10**6}}, {"w": {**FINE, "shape": [1] * 10**6}}):
        with pytest.raises(CheckpointError) as caught:
            read(file_of(header))
        assert len(str(caught.value)) < 500


def test_a_huge_header_is_refused_before_memory_is_taken(tmp_path):
    with open(tmp_path / "x", "wb") as file:
        file.write((200_000_000).to_bytes(8, "little"))
        file.truncate(300_000_000)  # no blocks on the disk
    tracemalloc.start()
    with pytest.raises(CheckpointError, match="claims 200,000,000 bytes; expected at most 100,000,000"):
        read_safetensors(tmp_path / "x")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_a_file_that_is_not_there_or_not_a_file(tmp_path):
    for path in (tmp_path / "gone", tmp_path):
        with pytest.raises(CheckpointError, match="there is no such file"):
            read_safetensors(path)


def test_an_empty_file(tmp_path):
    (tmp_path / "x").write_bytes(b"")
    with pytest.raises(CheckpointError, match="can't be read"):
        read_safetensors(tmp_path / "x")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="this user may read everything")
def test_a_file_without_permission(tmp_path):
    (tmp_path / "x").write_bytes(file_of({}))
    (tmp_path / "x").chmod(0)
    with pytest.raises(CheckpointError, match="Permission denied"):
        read_safetensors(tmp_path / "x")


@pytest.mark.parametrize(
    ("x", "found"),
    [
        (memoryview(array("q", [1])), "format 'q'"),
        (memoryview(array("f", [1, 2, 3]))[::2], "not contiguous"),
        (memoryview(array("f")), "shape \\(0,\\)"),
    ],
)
def test_a_buffer_that_cannot_be_saved(x, found, tmp_path):
    with pytest.raises(ShapeError, match=f"tensor 'w' can't be saved: found .*{found}"):
        write_safetensors(tmp_path / "x", {"w": x})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("tensors", "metadata"),
    [
        ({"__metadata__": buffer("f", (1,), 0)}, None),
        ({"\ud800": buffer("f", (1,), 0)}, None),
        ({}, {"step": 7}),
        ({}, {"step": "\ud800"}),
    ],
)
def test_a_file_that_could_not_be_read_again_is_not_written(tensors, metadata, tmp_path):
    with pytest.raises(CheckpointError, match="can't be saved, the file would be unreadable"):
        write_safetensors(tmp_path / "x", tensors, metadata)
    assert os.listdir(tmp_path) == []


def test_the_format_in_the_metadata_is_always_pt(tmp_path):
    write_safetensors(tmp_path / "x", {}, {"format": "np", "a": "b"})
    assert read_safetensors(tmp_path / "x").metadata == {"format": "pt", "a": "b"}


@pytest.mark.parametrize(
    ("format", "bits", "finite"),
    [
        ("f", 0x7F7FFFFF, True), ("f", 0x7F800000, False), ("f", 0xFF812345, False),
        ("d", 0x7FEF << 48, True), ("d", 0xFFF << 52, False), ("d", 0x7FF1 << 48, False),
        ("H", 0xFF7F, True), ("H", 0x7F80, False), ("H", 0xFFC1, False),
        ("i", 0x7F800000, True), ("B", 0xFF, True),
    ],
)  # fmt: skip
def test_check_finite(format, bits, finite, tmp_path):
    write_safetensors(tmp_path / "x", {"fine": buffer("f", (3,), 1), "w": buffer(format, (2, 3), 0, 0, 0, 0, 0, bits)})
    tensors = read_safetensors(tmp_path / "x")
    if finite:
        tensors.check_finite()
    else:
        with pytest.raises(NonFiniteError, match="tensor 'w' holds infinity or NaN"):
            tensors.check_finite()


def test_numbers_in_a_header_fit_64_bits():
    assert strict_json.parse_object(b'{"a": 0, "b": 9999999999999999999}') == {"a": 0, "b": 10**19 - 1}
