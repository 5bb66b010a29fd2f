# cython: language_level=3, boundscheck=False, wraparound=False
"""The compiled twins of splitting, training and encoding: the same chunks, merges and ids, only sooner.

The work itself is in C, in the folder c, which knows nothing of Python: it runs without the interpreter's lock, in
slices, so that threads share it and Ctrl-C is heard. Training and encoding have a file each.
"""

from cpython.bytes cimport PyBytes_AS_STRING
from cpython.exc cimport PyErr_CheckSignals
from cpython.list cimport PyList_New, PyList_SET_ITEM
from cpython.ref cimport Py_INCREF, PyObject
from libc.stdint cimport SIZE_MAX, int64_t, uint8_t, uint32_t, uint64_t

from concurrent.futures import ThreadPoolExecutor

from microgpt_tokenizers.bpe.splitting import Splitter

DEF SLICE = 1 << 22  # bytes of a text, between two looks at what the person wants


cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL
    object PyUnicode_DecodeUTF8(const char *bytes, Py_ssize_t size, const char *errors)
    int PyBytes_AsStringAndSize(object bytes, char **at, Py_ssize_t *size) except -1
    PyObject *PyTuple_GET_ITEM(object items, Py_ssize_t i)


cdef extern from "c/scanners.h" nogil:
    ctypedef size_t (*mg_scanner)(const uint8_t *text, size_t at, size_t end)
    size_t mg_scan_gpt2(const uint8_t *text, size_t at, size_t end)
    size_t mg_scan_cl100k(const uint8_t *text, size_t at, size_t end)
    size_t mg_scan_o200k(const uint8_t *text, size_t at, size_t end)


cdef mg_scanner scanner(str pattern):
    """The scanner of a named pattern, NULL for any other."""
    if pattern == "gpt2":
        return mg_scan_gpt2
    if pattern == "cl100k":
        return mg_scan_cl100k
    if pattern == "o200k":
        return mg_scan_o200k
    return NULL


cdef class Text:
    """A text's UTF-8. ASCII has it already; of any other it is made, and gone with this."""

    cdef object held
    cdef const uint8_t *bytes
    cdef size_t n

    def __cinit__(self, str text not None):
        cdef Py_ssize_t n = 0
        if text.isascii():
            self.held = text
            self.bytes = <const uint8_t *>PyUnicode_AsUTF8AndSize(text, &n)
        else:
            self.held = text.encode()
            self.bytes = <const uint8_t *>PyBytes_AS_STRING(self.held)
            n = len(<bytes>self.held)
        self.n = <size_t>n


def split(str text, str pattern):
    """The chunks of a text by a named pattern. Raises ValueError for a name that no scanner has."""
    cdef mg_scanner scan = scanner(pattern)
    if scan is NULL:
        raise ValueError(f"pattern: found {pattern!r}, allowed: gpt2, cl100k, o200k")
    cdef Text given = Text(text)
    cdef size_t at = 0, past
    chunks = []
    while at < given.n:
        past = scan(given.bytes, at, given.n)
        chunks.append(PyUnicode_DecodeUTF8(<const char *>given.bytes + at, past - at, NULL))
        at = past
    return chunks


include "train.pxi"
include "encode.pxi"
