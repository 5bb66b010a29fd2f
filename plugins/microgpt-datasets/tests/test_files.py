"""Files: text in every wrapping, in one order, and each mistake said with its place."""

import bz2
import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from microgpt_core.errors import DataError
from microgpt_core.testing import check_dataset
from microgpt_datasets.files import Files
from microgpt_datasets.json_lines import JSONLines
from microgpt_datasets.reading import decoding
from microgpt_datasets.reading.decoding import lines, pieces, whole
from microgpt_datasets.table import Table

TEXTS = {"b.txt": "two\nlines\n", "a/é.txt": "Привет, 你好\r\nmore\rold", ".hidden": "no", "a/c.md": "third"}


def zipped(texts: dict[str, str]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in texts.items():
            archive.writestr(name, text)
    return made.getvalue()


def tarred(texts: dict[str, str], mode: str = "w") -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as archive:  # type: ignore[call-overload]
        for name, text in texts.items():
            info, data = tarfile.TarInfo(name), text.encode("utf-8")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return made.getvalue()


def everything(dataset: Any) -> list[str]:
    return [text for split in ("train", "validation") for text in dataset.documents(split)]


WRAPPINGS: dict[str, Callable[[], bytes]] = {
    "t.zip": lambda: zipped(TEXTS),
    "t.tar": lambda: tarred(TEXTS),
    "t.tgz": lambda: tarred(TEXTS, "w:gz"),
    "t.tar.gz": lambda: gzip.compress(tarred(TEXTS)),
    "t.tar.zst": lambda: zstandard.compress(tarred(TEXTS)),
}


@pytest.mark.parametrize("name", WRAPPINGS)
def test_an_archive_gives_its_texts_and_leaves_nothing_behind(name: str, put: Any, tmp_path: Path) -> None:
    path = put(name, WRAPPINGS[name]())
    found = everything(Files(str(path), document="line"))
    assert sorted(found) == sorted(["two", "lines", "Привет, 你好", "more", "old", "third"])
    assert everything(Files(str(path), pattern="*.md", validation=0)) == ["third"]
    with pytest.raises(DataError, match=r"no text; 4 members of archives are hidden, or aren.t of `pattern`: \*.py"):
        everything(Files(str(path), pattern="*.py"))
    assert [file.name for file in tmp_path.rglob("*")] == [name]


def test_an_archive_of_the_folder_itself_is_read(put: Any) -> None:
    """As `tar -C folder .` makes it: with an entry for the folder, and names that begin with a dot."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        archive.add(put("texts/a.txt", "one").parent, "./")
        archive.add(put("texts/b/c.md", "two").parent, "./b")
    path = put("t.tar", made.getvalue())
    assert everything(Files(str(path), validation=0)) == ["one", "two"]
    assert everything(Files(str(path), pattern="b/*.md", validation=0)) == ["two"]
    assert everything(Files(str(path), pattern="b/**/*.md", validation=0)) == ["two"]  # as in a folder: any, or none
    assert everything(Files(str(path.parent / "texts"), pattern="b/**/*.md", validation=0)) == ["two"]


@pytest.mark.parametrize(
    ("name", "compress"),
    [("t.txt", bytes), ("t.txt.gz", gzip.compress), ("t.txt.zst", zstandard.compress), ("T.TXT.GZ", gzip.compress)],
)
def test_one_file_compressed_or_not(name: str, compress: Callable[[bytes], bytes], put: Any) -> None:
    path = put(name, compress(b"one\ntwo\n\nthree"))
    assert list(Files(str(path), document="line", validation=0).documents("train")) == ["one", "two", "three"]
    whole_file = Files(str(path), validation=0)
    assert (list(whole_file.documents("train")), whole_file.separate) == (["one\ntwo\n\nthree"], False)
    both = Files(str(path), document="paragraph", validation=0)
    assert (list(both.documents("train")), both.separate) == (["one\ntwo", "three"], True)


def test_folders_and_globs_are_read_in_order_and_each_file_once(put: Any, tmp_path: Path) -> None:
    for name in ("z.py", "a.py", "b/x.py", "b/y.txt", ".git/config"):
        put(name, name)
    assert list(Files(str(tmp_path), validation=0).documents("train")) == ["a.py", "b/x.py", "b/y.txt", "z.py"]
    dataset = Files(["**/*.py", "a.py"], validation=0)
    dataset.base = tmp_path
    assert list(dataset.documents("train")) == ["a.py", "b/x.py", "z.py"]
    assert list(Files(str(tmp_path), pattern="**/*.txt", validation=0).documents("train")) == ["b/y.txt"]


def test_many_documents_are_split_one_by_one(put: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put("many.txt", "\n".join(f"line {i % 9000}" for i in range(30_000)))
    dataset = Files(str(path), document="line", validation=0.1)
    train, validation = (list(dataset.documents(split)) for split in ("train", "validation"))
    assert len(train) + len(validation) == 30_000
    assert not set(train) & set(validation)
    assert 0.08 < len(set(validation)) / 9000 < 0.12
    numbers = [int(text.split()[1]) for text in train[:1000]]
    assert numbers == sorted(numbers)  # in the source's order


def test_of_a_few_huge_documents_each_is_cut(put: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("microgpt_datasets.splitting.SMALL", 10_000)
    texts = ["".join(f"{i}{name}" for i in range(3_000)) for name in "abc"]
    for name, text in zip("abc", texts, strict=True):
        put(f"t/{name}.txt", text)
    dataset = Files(str(put("t/d.txt", "a short one").parent), validation=0.1)
    train, held_out = list(dataset.documents("train")), list(dataset.documents("validation"))
    assert [head + end for head, end in zip(train, held_out, strict=False)] == texts
    assert train[3:] == ["a short one"]
    assert sum(map(len, held_out)) == pytest.approx(sum(map(len, texts)) / 10, abs=4)


@pytest.mark.parametrize("n", [3, 30_000])
def test_the_kit_finds_nothing(n: int, put: Any) -> None:
    text = "\n".join(f"document {i}" for i in range(n))
    rows = "\n".join(f'{{"text": "document {i}"}}' for i in range(n))
    datasets = [
        Files(str(put("t.txt", text)), document="line"),
        JSONLines(str(put("t.jsonl", rows))),
        Table(str(put("t.csv", f"text\n{text}")), validation=0.2),
    ]
    for dataset in datasets:
        report = check_dataset(dataset)  # type: ignore[arg-type]
        assert report, str(report)


# ---- encodings


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 1 << 20])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-8-sig", "cp1252", "gb18030"])
def test_text_is_the_same_however_it_is_cut(chunk: int, encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "CHUNK", chunk)
    text = "é one\r\ntwo\rthree\n\nfive" if encoding == "cp1252" else "é 你好 one\r\ntwo\rthree\n\nfive 😀"
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    data = text.encode(encoding)
    assert whole(io.BytesIO(data), encoding, "t") == plain
    assert list(lines(io.BytesIO(data), encoding, "t")) == plain.split("\n")


@pytest.mark.parametrize("chunk", [1, 5, 1 << 20])
@pytest.mark.parametrize(
    ("data", "line", "byte"),
    [
        (b"ab\ncd\n\xff", 3, 6),
        (b"\xe4\xbd\xa0\n\xe4\xbd", 2, 4),  # half a character at the end
        (b"na\xefve", 1, 2),
        (b"a\nb\nc \xc3\x28", 3, 6),
    ],
)
def test_a_byte_that_is_no_text_is_named_with_line_and_place(
    data: bytes, line: int, byte: int, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "CHUNK", chunk)
    with pytest.raises(DataError, match=rf"t.txt, line {line}, byte {byte}: 0x.. isn't utf-8 text; set `encoding`"):
        list(pieces(io.BytesIO(data), "utf-8", "t.txt"))


def test_a_document_without_an_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "MOST_CHARACTERS", 1000)
    monkeypatch.setattr(decoding, "CHUNK", 100)
    for read in (whole, lambda *told: list(lines(*told))):
        with pytest.raises(DataError, match="a document of more than 1,000 characters"):
            read(io.BytesIO(b"a" * 2000), "utf-8", "t")


# ---- mistakes


@pytest.mark.parametrize(
    ("dataset", "files", "message"),
    [
        ("{use: files, path: absent}", {}, "absent: is no file, no folder and no glob that matches a file"),
        ("{use: files, path: book/}", {"books/a": "a"}, "glob that matches a file (did you mean 'books'?) (looked in"),
        ("{use: files, path: no/book}", {"books/a": "a"}, "no glob that matches a file (looked in "),
        ("{use: files, path: empty}", {"empty/.x": "a"}, "empty: holds no file (looked in "),
        ("{use: files, path: a, pattern: '*.md'}", {"a/x": "a"}, "a: holds no file *.md (looked in "),
        ("{use: files, path: [t.txt, u.txt]}", {"t.txt": "", "u.txt": ""}, "t.txt, u.txt: no text, only white space"),
        ("{use: files, path: t.txt}", {"t.txt": "ab".encode("utf-16")}, "as utf-16 does: set `encoding: utf-16`"),
        ("{use: files, path: t.txt, encoding: utf-16}", {"t.txt": "ab"}, "; set `encoding` to utf-16-le or -be"),
        ("{use: files, path: t.bin}", {"t.bin": b"a\0\xff"}, "holds zeros, as no text does: leave the file out"),
        ("{use: files, path: ''}", {}, "dataset.path: it is empty; name a file"),
        ("{use: files, path: t.txt}", {"t.txt": " \n "}, "no text, only white space in 1 file(s)"),
        ("{use: files, path: t.txt, document: word}", {"t.txt": "a"}, "expected one of file, line, paragraph"),
        ("{use: files, path: t.txt, encoding: utf9}", {"t.txt": "a"}, "unknown encoding: utf9; try utf-8"),
        ("{use: files, path: t.txt}", {"t.txt": b"ab\n\xff"}, "t.txt, line 2, byte 3: 0xFF isn't utf-8 text"),
        ("{use: files, path: t.gz}", {"t.gz": b"not gzip"}, "t.gz: can't be read ("),
        ("{use: files, path: t.zst}", {"t.zst": b"not zstd"}, "t.zst: can't be read ("),
        ("{use: files, path: t.zip}", {"t.zip": b"not a zip"}, "t.zip: can't be read (File is not a zip file"),
        ("{use: files, path: t.tar}", {"t.tar": b"not a tar"}, "t.tar: can't be read ("),
        ("{use: files, path: t.gz}", {"t.gz": gzip.compress(b"abc" * 99)[:-9]}, "t.gz: can't be read (Compressed"),
        ("{use: files, pth: t}", {}, "unknown key (did you mean 'path'?)"),
        ("{use: jsonl, path: t.jsonl}", {"t.jsonl": '{"text": "a"}\n{"text": 3}'}, "line 2: expected text"),
        ("{use: jsonl, path: t.jsonl}", {"t.jsonl": '{"text": "a\\ud800"}'}, r"line 1: \ud800 at position 1"),
        ("{use: jsonl, path: t.jsonl, field: a}", {"t.jsonl": '{"a": {"b": "c", "n": 1}}'}, "set `field`: a.b, a.n"),
        ("{use: jsonl, path: t.jsonl}", {"t.jsonl": '\n{"txt": "a"}'}, "no field 'text' (did you mean"),
        ("{use: jsonl, path: t.jsonl}", {"t.jsonl": '["a"]'}, "line 1: expected an object {...} with the field 'text'"),
        ("{use: jsonl, path: t.jsonl}", {"t.jsonl": '{"text": "a"'}, "t.jsonl, line 1: this isn't JSON by itself ("),
        ("{use: jsonl, path: t.json}", {"t.json": '[\n{"text": "a"}\n]'}, "expected an object {...} a line"),
        ("{use: jsonl, path: t.jsonl}", {"t.jsonl": "[" * 99_999}, "t.jsonl, line 1: this isn't JSON by itself ("),
        ("{use: jsonl, path: t, field: a.b}", {"t/t.jsonl": '{"a": {"c": 1}}'}, "no field 'b'; there are: c"),
        ("{use: csv, path: t.csv}", {"t.csv": "id;text\n1;a"}, "there are: id;text. Set `field`, or `delimiter`"),
        ("{use: csv, path: t.csv}", {"t.csv": "id,text\n1,a\n2,b,c"}, "line 3: 3 cells where the heading has 2"),
        ("{use: csv, path: t.csv}", {"t.csv": 'id,text\n1,"a'}, "t.csv, line 2: unexpected end of data"),
        ("{use: csv, path: t.csv, delimiter: ';;'}", {"t.csv": "text"}, "delimiter: found ';;', allowed: one"),
        ("{use: csv, path: t.csv}", {"t.csv": "text\n"}, "csv: there is no text to read"),
        ("{use: shards, path: absent}", {}, "absent: there is no shards.json; make shards of a text with"),
        ("{use: shards, path: sh}", {"sh/t.txt": "ab"}, "sh: there is no shards.json; make shards of a text with"),
        ("{use: shards, path: sh}", {"sh/train-00000.bin": "ab"}, "these shards were begun and not finished"),
        ("{use: shards, path: sh}", {"sh/shards.json": "{"}, "shards.json: it is damaged (JSONDecodeError"),
        ("{use: shards, path: sh}", {"sh/shards.json": "[]"}, "shards.json: it is damaged (TypeError"),
        ("{use: mix, datasets: []}", {}, "dataset.datasets: found none, allowed: one or more"),
        ("{use: mix, datasets: [names], weights: [1, 2]}", {}, "weights: found 2 of them, allowed: 1, one for each"),
        ("{use: mix, datasets: [names], weights: [0]}", {}, "allowed: numbers above 0; leave a dataset out"),
        ("{use: mix, datasets: [nmaes]}", {}, "dataset.datasets[0].use: unknown dataset 'nmaes' (did you mean 'names'"),
        ("{use: stream, dataset: names, buffer: 0}", {}, "dataset.buffer: found 0, allowed: 1 or more"),
        ("{use: synthetic, task: sum}", {}, "dataset.task: expected one of copy, reverse, sort, addition, induction"),
        ("{use: synthetic, task: induction, length: 12}", {}, "length: found 12, allowed: up to symbols (10)"),
        ("names\ntransforms: [upcase]", {}, "transforms[0].use: unknown transform 'upcase'"),
        ("names\ntransforms: [filter]", {}, "transforms[0]: keep: neither this nor `drop` is given"),
        ("names\ntransforms: [{use: filter, drop: '('}]", {}, "drop: '(' is no regular expression: missing )"),
        ("names\ntransforms: [{use: length, min: 5, max: 3}]", {}, "max: found 3, allowed: null, or min (5) or more"),
        ("names\ntransforms: [{use: noise, rate: 2.0}]", {}, "transforms[0].rate: found 2.0, allowed: above 0"),
        ("names\ntransforms: [{use: normalise, form: NFX}]", {}, "expected one of NFC, NFD, NFKC, NFKD, found 'NFX'"),
        ("names\ntransforms: lower", {}, "transforms: expected a list of transforms, found 'lower'"),
        ("{use: enwik8}", {}, "enwik8 isn't in the cache ("),
    ],
)  # fmt: skip
def test_a_mistake_is_said_with_its_place_and_what_to_do(
    dataset: str, files: dict[str, str | bytes], message: str, put: Any, problem: Any,
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.setenv("MICROGPT_CACHE", str(tmp_path / "cache"))
    for name, content in files.items():
        put(name, content)
    assert message in problem(dataset)


# ---- tables and JSON lines


def test_json_lines_in_every_wrapping(put: Any) -> None:
    rows = '{"a": {"b": "one"}}\n\n{"a": {"b": "two\\nlines"}, "x": 1}\n'
    for name, data in (
        ("t.jsonl", rows),
        ("t.jsonl.gz", gzip.compress(rows.encode())),
        ("t.zip", zipped({"t.jsonl": rows})),
    ):
        dataset = JSONLines(str(put(name, data)), field="a.b", validation=0)
        assert list(dataset.documents("train")) == ["one", "two\nlines"]


def test_cells_with_quotes_line_ends_and_any_length(put: Any) -> None:
    long = "x" * 200_000
    path = put("t.csv", f'id;text\n1;"two\n""lines"""\n\n2;{long}\n3;" "\n')
    assert list(Table(str(path), delimiter=";", validation=0).documents("train")) == ['two\n"lines"', long]


def test_a_file_that_is_compressed_in_a_way_that_isnt_known_is_no_text(put: Any) -> None:
    path = put("t.bz2", bz2.compress(b"abc" * 100))
    with pytest.raises(DataError, match="isn't utf-8 text"):
        everything(Files(str(path)))
