# From texts to ids: one vocabulary for all threads, and for each of them what it writes to. A part of native.pyx.

DEF BATCH = 1 << 16  # characters that a thread takes at once, in whole texts


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
