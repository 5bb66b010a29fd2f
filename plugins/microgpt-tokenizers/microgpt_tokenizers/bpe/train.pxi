# Training: chunks are counted, then merges learned from the counts. A part of native.pyx.

DEF PLACES = 1 << 20  # of merging, between two looks at what the person wants
DEF MOST_MERGES = 1 << 30  # whoever wants more can't mean it


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
