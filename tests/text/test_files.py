"""The dataset `text`: which files, in which order, cut into which documents."""

import errno
from pathlib import Path

import pytest

from microgpt_core.errors import ConfigurationError, DataError, UnknownNameError
from microgpt_core.text.files import TextFiles

TREE = {
    "b.txt": "bee",
    "a.txt": "ay\n",
    "notes.md": "em",
    "sub/c.txt": "see",
    "sub/deep/d.txt": "dee",
    "sub/e.csv": "e",
    ".hidden/h.txt": "aitch",
    "odd[1].txt": "odd",
    "empty/blank.txt": " \n\t\n",
    "lines.text": "one\r\n\r\n  two \rthree\n \nfour",
}


@pytest.fixture
def tree(tmp_path):
    for name, text in TREE.items():
        file = tmp_path / "data" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode())
    return tmp_path / "data"


def read(folder, path, **options):
    dataset = TextFiles(path, validation=0, **options)
    dataset.base = folder
    return dataset


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("b.txt", ["b.txt"]),
        (["b.txt", "a.txt"], ["a.txt", "b.txt"]),
        (["b.txt", "b.txt", "./sub/../b.txt"], ["b.txt"]),
        ("sub", ["sub/c.txt", "sub/deep/d.txt"]),
        (".", ["a.txt", "b.txt", "empty/blank.txt", "odd[1].txt", "sub/c.txt", "sub/deep/d.txt"]),
        ("*.txt", ["a.txt", "b.txt", "odd[1].txt"]),
        ("**/*.txt", ["a.txt", "b.txt", "empty/blank.txt", "odd[1].txt", "sub/c.txt", "sub/deep/d.txt"]),
        ("sub/?.*", ["sub/c.txt", "sub/e.csv"]),
        ("odd[1].txt", ["odd[1].txt"]),
        (["sub", "*.md", "a.txt"], ["a.txt", "notes.md", "sub/c.txt", "sub/deep/d.txt"]),
        (".hidden/h.txt", [".hidden/h.txt"]),
        ("../data/a.txt", ["a.txt"]),
    ],
)
def test_files_are_sorted_and_read_once(tree, path, expected):
    files = read(tree, path).files()
    assert [file.relative_to(tree.resolve()).as_posix() for file in files] == expected


def test_relative_paths_start_from_the_current_folder_without_a_base(tree, monkeypatch):
    monkeypatch.chdir(tree)
    assert list(TextFiles("sub", validation=0).documents("train")) == ["see", "dee"]


@pytest.mark.parametrize("path", ["{tree}/b.txt", "{tree}/b.*", "{tree}/../data/b.txt"])
def test_absolute_paths_need_no_base(tree, tmp_path, path):
    assert read(tmp_path / "elsewhere", path.format(tree=tree)).all_documents() == ["bee"]


def test_a_path_object_and_the_home_folder(tree, monkeypatch):
    monkeypatch.setenv("HOME", str(tree))
    monkeypatch.setenv("USERPROFILE", str(tree))
    assert TextFiles(tree / "b.txt", validation=0).all_documents() == ["bee"]
    assert TextFiles("~/b.txt", validation=0).all_documents() == ["bee"]


@pytest.mark.parametrize(
    ("path", "document", "expected"),
    [
        ("lines.text", "line", ["one", "  two ", "three", "four"]),
        ("lines.text", "file", ["one\n\n  two \nthree\n \nfour"]),
        (["a.txt", "b.txt", "empty"], "file", ["ay\n", "bee"]),
        (["a.txt", "b.txt", "empty"], "line", ["ay", "bee"]),
    ],
)
def test_documents_are_files_or_lines(tree, path, document, expected):
    assert read(tree, path, document=document).all_documents() == expected


@pytest.mark.parametrize(
    ("data", "encoding", "expected"),
    [
        ("\ufeffzoë".encode(), "utf-8", "zoë"),
        ("zoë".encode("utf-16"), "utf-16", "zoë"),
        ("zoë".encode("utf-32"), "UTF32", "zoë"),
        ("zoë".encode("utf-16-be"), "utf-16-be", "zoë"),
        ("zoë".encode("latin-1"), "latin-1", "zoë"),
        ("東京 👩‍👧".encode(), "utf-8", "東京 👩‍👧"),
    ],
)
def test_encodings(tmp_path, data, encoding, expected):
    (tmp_path / "x.txt").write_bytes(data)
    assert read(tmp_path, "x.txt", encoding=encoding).all_documents() == [expected]


@pytest.mark.parametrize(
    ("path", "options", "expected"),
    [
        ("nothing.txt", {}, ["nothing.txt", "is no file", "looked in"]),
        ("*.xyz", {}, ["*.xyz", "no glob that matches"]),
        (["a.txt", "sub/*.md"], {}, ["sub/*.md"]),
        ("empty", {}, ["empty: no text, only white space in 1 file(s)"]),
        ("empty/blank.txt", {"document": "line"}, ["empty/blank.txt", "only white space"]),
        ("folder", {}, ["folder: holds no *.txt file (looked in"]),
        ("notes/", {}, ["notes/: holds no *.txt file, but 2 *.md; if they are text, ", "by a glob: notes/**/*.md"]),
        ("bad.bin", {}, ["bad.bin", "byte 0xFF at offset 5, line 2", "utf-8", "set `encoding` (latin-1 and cp1252"]),
        ("utf16.bin", {}, ["byte 0xFF at offset 0, line 1", "begins as utf-16 does: set `encoding: utf-16`"]),
        ("zeros.bin", {}, ["byte 0xFF at offset 1, line 1", "no text", "leave the file out"]),
        ("bad.bin", {"encoding": "ascii"}, ["byte 0xFF at offset 5", "ascii"]),
        ("bad.bin", {"encoding": "utf-16"}, ["bad.bin: it doesn't begin with the mark", "to utf-16-le or -be"]),
    ],
)
def test_bad_data_is_one_line_with_the_path(tree, path, options, expected):
    files = {"bad.bin": b"abc\nd\xffef", "utf16.bin": "text".encode("utf-16"), "zeros.bin": b"a\xff\0\0"}
    files |= {"notes/a.md": b"#", "notes/b/c.md": b"#", "notes/d.py": b"#", "folder/.hidden": b"#"}
    for name, data in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(data)
    with pytest.raises(DataError) as caught:
        list(read(tree, path, **options).documents("train"))
    assert [e for e in expected if e not in str(caught.value)] == []
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_an_unreadable_file_is_named(tree, monkeypatch):
    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(DataError, match=r"a\.txt: can't be read \(Permission denied\)"):
        read(tree, "a.txt").all_documents()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"path": []}, ConfigurationError, "path: it is empty"),
        ({"path": ""}, ConfigurationError, "path: it is empty"),
        ({"path": ["a", ""]}, ConfigurationError, "path: it is empty"),
        ({"path": "a", "document": "lines"}, UnknownNameError, "did you mean 'line'"),
        ({"path": "a", "encoding": "utf-9"}, ConfigurationError, "encoding: .*utf-9"),
        ({"path": "a", "encoding": "rot13"}, ConfigurationError, "encoding: .*rot13"),
        ({"path": "a", "validation": 2}, ConfigurationError, "validation"),
    ],
)
def test_bad_options_are_found_before_reading(options, error, message):
    with pytest.raises(error, match=message):
        TextFiles(**options)


def test_lines_are_split_by_seed_and_one_file_by_position(tree):
    text = "\n".join(str(i % 50) for i in range(100))
    (tree / "many.list").write_bytes(text.encode())
    lines = read(tree, "many.list", document="line")
    lines.validation = 0.1
    train, validation = list(lines.documents("train")), list(lines.documents("validation"))
    assert (len(train), len(validation)) == (90, 10)
    assert not set(train) & set(validation)
    whole = TextFiles(str(tree / "many.list"), validation=0.1)
    assert list(whole.documents("train")) == [text[: int(len(text) * 0.9)]]
    assert list(whole.documents("validation")) == [text[int(len(text) * 0.9) :]]


def test_the_base_is_no_configuration_key():
    dataset = TextFiles("a")
    assert "base" not in repr(dataset)
    with pytest.raises(TypeError):
        TextFiles("a", base="b")
