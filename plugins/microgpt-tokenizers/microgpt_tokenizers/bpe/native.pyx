# cython: language_level=3, boundscheck=False, wraparound=False
"""The compiled twins of splitting, training and encoding: the same chunks, merges and ids, only sooner.

The work itself is in C, in the folder c, which knows nothing of Python: it runs without the interpreter's lock, in
slices, so that threads share it and Ctrl-C is heard.
"""

from concurrent.futures import ThreadPoolExecutor

from cpython.bytes cimport PyBytes_AS_STRING
from cpython.exc cimport PyErr_CheckSignals
from cpython.list cimport PyList_New, PyList_SET_ITEM
from cpython.ref cimport Py_INCREF, PyObject
from libc.stdint cimport SIZE_MAX, int64_t, uint8_t, uint32_t, uint64_t

from microgpt_tokenizers.bpe.splitting import Splitter

DEF SLICE = 1 << 22  # bytes of a text, between two looks at what the person wants
DEF PLACES = 1 << 20  # the same of merging
DEF BATCH = 1 << 16  # characters that a thread takes at once, in whole texts
DEF MOST_MERGES = 1 << 30  # whoever wants more can't mean it


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


cdef extern from "c/count.h" nogil:
    ctypedef struct mg_counter:
        pass
    int mg_counter_init(mg_counter *counter)
    void mg_counter_free(mg_counter *counter)
    int mg_count_chunk(mg_counter *counter, const uint8_t *chunk, size_t n)
    size_t mg_count(mg_counter *counter, mg_scanner scan, const uint8_t *text, size_t at, size_t stop, size_t end)


cdef extern from "c/trainer.h" nogil:
    ctypedef struct mg_trainer:
        uint32_t *merges
        uint64_t n_merges
    int MG_MORE, MG_TOO_MUCH
    int mg_trainer_init(mg_trainer *trainer, mg_counter *counter, uint32_t n_merges, int64_t least)
    void mg_trainer_free(mg_trainer *trainer)
    int mg_trainer_go_on(mg_trainer *trainer, uint64_t places)


cdef extern from "c/vocabulary.h" nogil:
    ctypedef struct mg_vocabulary:
        pass
    int MG_NO_TOKEN
    int mg_vocabulary_init(mg_vocabulary *vocabulary)
    void mg_vocabulary_free(mg_vocabulary *vocabulary)
    int mg_vocabulary_add(mg_vocabulary *vocabulary, const uint8_t *bytes, size_t n)
    int mg_vocabulary_find_singles(mg_vocabulary *vocabulary)
    int mg_vocabulary_merge(
        mg_vocabulary *vocabulary, const uint8_t *left, size_t n_left, const uint8_t *right, size_t n_right)
    int mg_vocabulary_of_merges(mg_vocabulary *vocabulary)
    int mg_vocabulary_of_ranks(mg_vocabulary *vocabulary)


cdef extern from "c/encode.h" nogil:
    ctypedef struct mg_encoder:
        uint32_t *tokens
        uint64_t n
    int mg_encoder_init(mg_encoder *encoder, const mg_vocabulary *vocabulary)
    void mg_encoder_free(mg_encoder *encoder)
    void mg_encoder_clear(mg_encoder *encoder)
    int mg_encode_chunk(mg_encoder *encoder, const uint8_t *chunk, size_t n)
    size_t mg_encode(mg_encoder *encoder, mg_scanner scan, const uint8_t *text, size_t at, size_t stop, size_t end)


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


cdef class Counter:
    """The distinct chunks of texts, counted."""

    cdef mg_counter counter
    cdef mg_scanner scan
    cdef object splitter

    def __cinit__(self, str pattern):
        self.scan = scanner(pattern)
        self.splitter = Splitter(pattern) if self.scan is NULL else None
        if mg_counter_init(&self.counter):
            raise MemoryError

    def __dealloc__(self):
        mg_counter_free(&self.counter)

    cdef int count(self, str text) except -1:
        cdef Text given
        cdef size_t at = 0
        if self.scan is NULL:
            for part in self.splitter.chunks(text):
                given = Text(part)
                if mg_count_chunk(&self.counter, given.bytes, given.n):
                    raise MemoryError
            return 0
        given = Text(text)
        while at < given.n:
            with nogil:
                at = mg_count(&self.counter, self.scan, given.bytes, at, min(at + SLICE, given.n), given.n)
            if at == SIZE_MAX:
                raise MemoryError
            PyErr_CheckSignals()
        return 0


cdef class Trainer:
    """Merges, learned from what a Counter has counted."""

    cdef mg_trainer trainer
    cdef Counter counter

    def __cinit__(self, Counter counter, uint32_t n_merges, int64_t least):
        cdef int failed
        self.counter = counter
        with nogil:
            failed = mg_trainer_init(&self.trainer, &counter.counter, n_merges, least)
        if failed == MG_TOO_MUCH:
            raise ValueError("the texts have more than 4 GiB of distinct chunks: train on a part of them")
        if failed:
            raise MemoryError

    def __dealloc__(self):
        mg_trainer_free(&self.trainer)

    cdef int go_on(self) except -1:
        """Learn for a while. Returns whether there may be more."""
        cdef int state
        with nogil:
            state = mg_trainer_go_on(&self.trainer, PLACES)
        if state < 0:
            raise MemoryError
        PyErr_CheckSignals()
        return state == MG_MORE

    cdef list merges(self):
        cdef uint64_t i
        return [(self.trainer.merges[2 * i], self.trainer.merges[2 * i + 1]) for i in range(self.trainer.n_merges)]


def train_merges(texts, n_merges, *, pattern, min_frequency=2, progress=None):
    """As `training.train_merges`; of a pattern of one's own the chunks are found by the `regex` package here too."""
    cdef Counter counter = Counter(pattern)
    for done, text in enumerate(texts, start=1):
        counter.count(text)
        if progress:
            progress("reading", done, 0)
    cdef Trainer trainer = Trainer(counter, max(0, min(n_merges, MOST_MERGES)), min(min_frequency, 1 << 62))
    cdef bint more = True
    while more:
        more = trainer.go_on()
        if progress:
            progress("merging", trainer.trainer.n_merges, n_merges)
    return trainer.merges()


cdef class Vocabulary:
    """The tokens of a vocabulary in the order of their ids, and their merges."""

    cdef mg_vocabulary vocabulary
    cdef tuple ids  # by the token's number

    def __cinit__(self, vocabulary, merges):
        cdef int failed
        if mg_vocabulary_init(&self.vocabulary):
            raise MemoryError
        items = sorted(vocabulary.items(), key=lambda item: item[1])
        self.ids = tuple([id for _, id in items])
        for token, _ in items:
            self.add(token)
        if mg_vocabulary_find_singles(&self.vocabulary):
            raise ValueError("vocabulary: a single byte is missing, allowed: one with all 256")
        if merges is None:
            with nogil:
                failed = mg_vocabulary_of_ranks(&self.vocabulary)
        else:
            for left, right in merges:
                self.merge(left, right)
            with nogil:
                failed = mg_vocabulary_of_merges(&self.vocabulary)
        if failed:
            raise MemoryError

    def __dealloc__(self):
        mg_vocabulary_free(&self.vocabulary)

    cdef int add(self, token) except -1:
        cdef char *at
        cdef Py_ssize_t n
        PyBytes_AsStringAndSize(token, &at, &n)
        if mg_vocabulary_add(&self.vocabulary, <const uint8_t *>at, n):
            raise MemoryError
        return 0

    cdef int merge(self, left, right) except -1:
        cdef char *a
        cdef char *b
        cdef Py_ssize_t n_left, n_right
        PyBytes_AsStringAndSize(left, &a, &n_left)
        PyBytes_AsStringAndSize(right, &b, &n_right)
        failed = mg_vocabulary_merge(&self.vocabulary, <const uint8_t *>a, n_left, <const uint8_t *>b, n_right)
        if failed == MG_NO_TOKEN:
            raise ValueError(f"merge {left!r} {right!r}: a side of it, or both together, aren't in the vocabulary")
        if failed:
            raise MemoryError
        return 0


cdef class Thread:
    """What one thread needs to encode."""

    cdef mg_encoder encoder
    cdef Vocabulary vocabulary
    cdef mg_scanner scan
    cdef object splitter

    def __cinit__(self, Vocabulary vocabulary, str pattern):
        self.vocabulary = vocabulary
        self.scan = scanner(pattern)
        self.splitter = Splitter(pattern) if self.scan is NULL else None
        if mg_encoder_init(&self.encoder, &vocabulary.vocabulary):
            raise MemoryError

    def __dealloc__(self):
        mg_encoder_free(&self.encoder)

    cdef list encode(self, str text):
        try:
            self.find(text)
            return self.ids()
        finally:
            mg_encoder_clear(&self.encoder)

    cdef int find(self, str text) except -1:
        """The tokens of a text, in the encoder."""
        cdef Text given
        cdef size_t at = 0
        if self.scan is NULL:
            for part in self.splitter.chunks(text):
                given = Text(part)
                if mg_encode_chunk(&self.encoder, given.bytes, given.n):
                    raise MemoryError
            return 0
        given = Text(text)
        while at < given.n:
            with nogil:
                at = mg_encode(&self.encoder, self.scan, given.bytes, at, min(at + SLICE, given.n), given.n)
            if at == SIZE_MAX:
                raise MemoryError
            PyErr_CheckSignals()
        return 0

    cdef list ids(self):
        """The ids of the tokens that were found: the vocabulary's own numbers, so that none are made."""
        cdef Py_ssize_t n = <Py_ssize_t>self.encoder.n, i
        cdef list found = PyList_New(n)
        cdef object id
        for i in range(n):
            id = <object>PyTuple_GET_ITEM(self.vocabulary.ids, self.encoder.tokens[i])
            Py_INCREF(id)
            PyList_SET_ITEM(found, i, id)
        return found


class Encoder:
    """As `encoding.Encoder`, and with threads. Raises ValueError for a vocabulary that lacks what it needs."""

    def __init__(self, vocabulary, merges, pattern):
        self._vocabulary, self._pattern = Vocabulary(vocabulary, merges), pattern
        self._threads = [Thread(self._vocabulary, pattern)]  # those that nobody uses now

    def encode(self, text):
        return self._encode_all([text])[0]

    def encode_batch(self, texts, threads):
        texts = list(texts)
        if threads < 2:
            return self._encode_all(texts)
        with ThreadPoolExecutor(threads) as pool:
            try:
                return [ids for found in pool.map(self._encode_all, batches(texts)) for ids in found]
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _encode_all(self, texts):
        cdef Thread thread
        try:
            thread = self._threads.pop()
        except IndexError:
            thread = Thread(self._vocabulary, self._pattern)
        try:
            return [thread.encode(text) for text in texts]
        finally:
            self._threads.append(thread)


def batches(texts):
    """The texts in their order, so many together that a thread has something to do."""
    batch, size = [], 0
    for text in texts:
        batch.append(text)
        size += len(text)
        if size >= BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
