# cython: language_level=3, boundscheck=False, wraparound=False
"""Calls and programs: native kernels bound to their buffers, run one by one or all in one go without the interpreter."""

from cpython.buffer cimport PyBUF_FORMAT, PyBUF_ND, PyBuffer_Release, PyObject_GetBuffer
from cpython.exc cimport PyErr_CheckSignals
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.math cimport isfinite
from libc.stdint cimport uintptr_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from microgpt_core.errors import DataError

DEF MOST_ARRAYS = 16
DEF MOST_ATTRIBUTES = 8
DEF LINE = 64  # bytes at which the numbers of a parameter begin
DEF PATIENCE = 50_000_000  # nanoseconds that a signal may wait for: short for a person, and 20 looks a second cost nothing


# Number by number: of buffers that follow one another they can be done in one go.
UPDATES = frozenset({"adam_update", "adamw_update", "sgd_update"})


cdef extern from "team.h" nogil:
    mg_team *mg_make_team(int threads)
    void mg_end_team(mg_team *team)
    uint64_t mg_flush_denormals()
    void mg_restore_denormals(uint64_t before)


cdef extern from "clock.h" nogil:
    uint64_t mg_ticks()
    int64_t mg_nanoseconds()


cdef extern from "cpu.h" nogil:
    const char *mg_cpu_feature(int i)


def cpu_features():
    """What the processor can do, as far as kernels are made for it: {"avx2", "fma", ...}."""
    cdef int i = 0
    found = set()
    while mg_cpu_feature(i) is not NULL:
        found.add((<bytes>mg_cpu_feature(i)).decode())
        i += 1
    return frozenset(found - {""})


cdef class Team:
    """Threads that share the work of calls: made once, waiting in between."""

    cdef mg_team *team

    def __cinit__(self, int threads):
        self.team = mg_make_team(threads)
        if self.team is NULL:
            raise MemoryError

    def __dealloc__(self):
        if self.team is not NULL:
            mg_end_team(self.team)

    @property
    def threads(self):
        return self.team.threads


cdef class Call:
    """A kernel on its buffers. Calling it runs it; a program runs many."""

    cdef mg_array arrays[MOST_ARRAYS]
    cdef mg_attribute attributes[MOST_ATTRIBUTES]
    cdef mg_fault fault
    cdef mg_call call
    cdef mg_kernel kernel
    cdef readonly str op
    cdef tuple names
    cdef tuple kept  # what the addresses belong to

    def __cinit__(self, str op, dict shapes, dict attributes, Team team not None, sets=frozenset()):
        """A call whose buffers are still to come. `shapes` has (shape, format) or None for each argument, in order."""
        cdef int i, axis
        cdef mg_array *array
        if len(shapes) > MOST_ARRAYS or len(attributes) > MOST_ATTRIBUTES:
            raise ValueError(f"{op}: a native kernel has at most {MOST_ARRAYS} arguments and {MOST_ATTRIBUTES} attributes")
        self.op, self.names, self.kept = op, tuple(shapes), (team,)
        for i, (name, given) in enumerate(shapes.items()):
            array = &self.arrays[i]
            array.set = name in sets
            array.size = array.rows = array.width = 1
            for axis in range(MG_AXES):
                array.shape[axis] = 1
            if given is None:
                array.size = 0
                continue
            shape, format = given
            array.format = ord(format)
            for axis, length in enumerate(shape):
                array.size *= length
                if axis < MG_AXES:
                    array.shape[axis] = length
            array.width = shape[len(shape) - 1]
            array.rows = array.size // array.width
        for i, value in enumerate(attributes.values()):
            self.attributes[i].given = value is not None
            self.attributes[i].number = number = value or 0
            self.attributes[i].integer = int(number) if abs(number) < 2**62 else 0
        self.call.array, self.call.attribute, self.call.fault = self.arrays, self.attributes, &self.fault
        self.call.team = team.team

    def workspace(self, capsule):
        """The bytes that the kernel wants beside its arguments, as a capsule's function says."""
        cdef mg_workspace ask = <mg_workspace>PyCapsule_GetPointer(capsule, MG_WORKSPACE_CAPSULE)
        return ask(&self.call)

    def bind(self, capsule, buffers, workspace):
        """The kernel and its memory. Returns the call itself."""
        cdef int i
        self.kernel = <mg_kernel>PyCapsule_GetPointer(capsule, MG_CAPSULE)
        for i, buffer in enumerate(buffers):
            self.arrays[i].data = NULL if buffer is None else address(buffer)
        self.call.workspace = NULL if workspace is None else address(workspace)
        self.kept += (tuple(buffers), workspace)
        return self

    def __call__(self):
        cdef int code
        cdef uint64_t before
        if self.kernel is NULL:
            raise ValueError(f"{self.op}: this call has no kernel yet; bind it first")
        with nogil:
            before = mg_flush_denormals()
            code = self.kernel(&self.call)
            mg_restore_denormals(before)
        if code:
            self.complain(code)

    cdef Call copied(self):
        cdef Call other = Call(self.op, dict.fromkeys(self.names), {}, self.kept[0])
        other.arrays, other.attributes, other.kernel, other.kept = self.arrays, self.attributes, self.kernel, self.kept
        return other

    cdef take_on(self, const mg_call *more):
        """Work on the next numbers in memory, too, where so far this works on all numbers of its first buffer."""
        cdef int i
        cdef int64_t size = self.arrays[0].size
        cdef int64_t numbers = (<float *>more.array[0].data - <float *>self.arrays[0].data) + more.array[0].size
        for i in range(MOST_ARRAYS):
            if self.arrays[i].size == size:
                self.arrays[i].size = self.arrays[i].width = numbers
                self.arrays[i].rows = 1

    def complain(self, int code):
        """Raise what a kernel's return code means."""
        if code != MG_OUT_OF_RANGE:
            raise RuntimeError(f"{self.op}: the native kernel failed with code {code}")
        fault = self.fault
        raise DataError(
            f"{self.op}: {self.names[fault.argument]} has {fault.found} at index {fault.at} "
            f"(allowed: {fault.least} to {fault.most})"
        )


cdef bint goes_on(const mg_call *a, const mg_call *b) noexcept nogil:
    """Whether b does with the next numbers in memory what a does with the ones before."""
    cdef int i
    cdef int64_t at
    cdef const mg_array *of_a
    cdef const mg_array *of_b
    cdef int64_t size = a.array[0].size, step = <char *>b.array[0].data - <char *>a.array[0].data
    if size < 2 or b.array[0].size < 2 or step != (size * <int64_t>sizeof(float) + LINE - 1) // LINE * LINE:
        return False
    for i in range(MOST_ATTRIBUTES):
        if a.attribute[i].number != b.attribute[i].number or a.attribute[i].given != b.attribute[i].given:
            return False
    for i in range(MOST_ARRAYS):
        of_a, of_b = &a.array[i], &b.array[i]
        if of_a.size == size:
            if of_b.size != b.array[0].size or <char *>of_b.data - <char *>of_a.data != step:
                return False
            for at in range(size, step // <int64_t>sizeof(float)):
                if (<const float *>of_a.data)[at] != 0:  # what lies between is somebody's
                    return False
        elif of_a.data != of_b.data or of_a.size != of_b.size:  # what all of them read, such as the learning rate
            return False
    return True


cdef int nothing_left(const mg_call *call) noexcept nogil:
    """What the call before has done too."""
    return MG_OK


cdef int run_calls(mg_kernel *kernels, mg_call **calls, int n, int *at) noexcept nogil:
    """Run calls up to the first that fails: its code, and in `at` its number."""
    cdef int i, code
    for i in range(n):
        code = kernels[i](calls[i])
        if code:
            at[0] = i
            return code
    return MG_OK


cdef class Program:
    """Calls that follow one another, run in one go."""

    cdef readonly tuple calls
    cdef mg_call **each
    cdef mg_kernel *kernels
    cdef uint64_t *ticks  # before the first call and after each, when they are timed
    cdef int n
    cdef readonly list wide  # updates that do what several calls would

    def __cinit__(self, calls):
        cdef Call call
        cdef int i
        self.calls = tuple(calls)
        if not self.calls:
            raise ValueError("a program needs at least one call")
        self.n = len(self.calls)
        self.each = <mg_call **>malloc(self.n * sizeof(mg_call *))
        self.kernels = <mg_kernel *>malloc(self.n * sizeof(mg_kernel))
        self.ticks = <uint64_t *>malloc((self.n + 1) * sizeof(uint64_t))
        if self.each is NULL or self.kernels is NULL or self.ticks is NULL:
            raise MemoryError
        for i in range(self.n):
            call = self.calls[i]
            if call is None or call.kernel is NULL:
                raise ValueError("a program's calls are bound to their buffers")
            self.each[i], self.kernels[i] = &call.call, call.kernel
        self.sweep()

    cdef sweep(self):
        """Have the first of several updates, whose numbers follow one another in memory, do them all.

        What lies between are the zeros that fill a cache line, of parameters as of gradients and state.
        """
        cdef Call call, wide
        cdef int i, at = 0  # which one does the work
        self.wide = []
        for i in range(1, self.n):
            call = self.calls[i]
            if call.op not in UPDATES or self.kernels[at] != call.kernel or not goes_on(self.each[at], &call.call):
                at = i
                continue
            if self.kernels[i - 1] != nothing_left:
                self.wide.append((<Call>self.calls[at]).copied())
            wide = self.wide[len(self.wide) - 1]
            wide.take_on(&call.call)
            self.each[at], self.kernels[i] = &wide.call, nothing_left

    def __dealloc__(self):
        free(self.each)
        free(self.kernels)
        free(self.ticks)

    def __call__(self):
        cdef int at = 0, code
        cdef uint64_t before
        with nogil:
            before = mg_flush_denormals()
            code = run_calls(self.kernels, self.each, self.n, &at)
            mg_restore_denormals(before)
        if code:
            self.calls[at].complain(code)

    def timed(self, ns):
        """Run as ever, and write the nanoseconds of each call. They add up to what the system's clock saw pass."""
        cdef int i, code = 0
        cdef uint64_t before
        cdef int64_t start
        cdef double per_tick
        cdef double *times
        if ns.format != "d" or ns.shape != (self.n,) or ns.readonly:
            raise ValueError(f"a program of {self.n} calls writes as many times, of format 'd'")
        times = <double *>address(ns)
        with nogil:
            before = mg_flush_denormals()
            start = mg_nanoseconds()
            self.ticks[0] = mg_ticks()
            for i in range(self.n):
                code = self.kernels[i](self.each[i])
                self.ticks[i + 1] = mg_ticks()
                if code:
                    break
            else:
                per_tick = <double>(self.ticks[self.n] - self.ticks[0])
                per_tick = (mg_nanoseconds() - start) / per_tick if per_tick else 0
                for i in range(self.n):
                    times[i] = per_tick * <double>(self.ticks[i + 1] - self.ticks[i])
            mg_restore_denormals(before)
        if code:
            self.calls[i].complain(code)


ctypedef struct copy:  # in each turn the steps further
    char *to
    const char *source
    int64_t to_step, source_step, nbytes


cdef void make_copies(const copy *copies, int first, int last, int64_t turn) noexcept nogil:
    cdef int i
    for i in range(first, last):
        memcpy(
            copies[i].to + turn * copies[i].to_step, copies[i].source + turn * copies[i].source_step, copies[i].nbytes
        )


ctypedef struct part_of_turn:
    int first_read, first_write, end  # its copies: reads, then writes
    mg_kernel *kernels
    mg_call **calls
    int n_calls
    const float *until


ctypedef struct outcome:  # of a turn
    bint whole  # every part was run, and none ends the loop
    int code, part, call  # what a kernel returned that failed, and which one it was


cdef class Loop:
    """Turns of whole plans, in one go: inputs copied in, calls, results copied out, again and again."""

    cdef tuple programs, kept
    cdef copy *copies
    cdef part_of_turn *parts
    cdef int n
    cdef int64_t most

    def __cinit__(self, parts):
        """Of the core's `LoopPart`s, each with one program to run."""
        cdef int i, at = 0
        cdef Program program
        self.n = len(parts)
        self.most = min(feed.shape[0] for part in parts for _, feed in (*part.reads, *part.writes))
        self.programs = tuple(part.runs[0] for part in parts)
        self.kept = tuple((*part.reads, *part.writes, part.until) for part in parts)
        self.copies = <copy *>malloc(sum(len(part.reads) + len(part.writes) for part in parts) * sizeof(copy) or 1)
        self.parts = <part_of_turn *>malloc(self.n * sizeof(part_of_turn))
        if self.copies is NULL or self.parts is NULL:
            raise MemoryError
        for i, part in enumerate(parts):
            program = self.programs[i]
            self.parts[i].kernels, self.parts[i].calls, self.parts[i].n_calls = program.kernels, program.each, program.n
            self.parts[i].first_read = at
            for target, feed in part.reads:
                self.copies[at] = copy(<char *>address(target), <char *>address(feed), 0, target.nbytes, target.nbytes)
                at += 1
            self.parts[i].first_write = at
            for source, result in part.writes:
                self.copies[at] = copy(<char *>address(result), <char *>address(source), source.nbytes, 0, source.nbytes)
                at += 1
            self.parts[i].end = at
            self.parts[i].until = NULL if part.until is None else <float *>address(part.until)

    def __dealloc__(self):
        free(self.copies)
        free(self.parts)

    cdef outcome make_turn(self, int64_t turn) noexcept nogil:
        cdef outcome made = outcome(False, MG_OK, 0, 0)
        cdef part_of_turn *part
        for made.part in range(self.n):
            part = &self.parts[made.part]
            make_copies(self.copies, part.first_read, part.first_write, turn)
            made.code = run_calls(part.kernels, part.calls, part.n_calls, &made.call)
            if made.code:
                return made
            make_copies(self.copies, part.first_write, part.end, turn)
            if part.until is not NULL and not isfinite(part.until[turn]):
                return made
        made.whole = True
        return made

    def __call__(self, int64_t turns, int64_t first):
        """How many turns were made whole, of those from `first` on. What a signal's handler raises, such as
        KeyboardInterrupt, ends the loop between two turns."""
        if not 0 <= first <= self.most or not 0 <= turns <= self.most - first:
            raise ValueError(f"a loop of {self.most} turns was asked for {turns} from {first} on")
        cdef int64_t turn = first, end = first + turns, look
        cdef outcome made = outcome(True, MG_OK, 0, 0)
        cdef uint64_t before
        with nogil:
            before = mg_flush_denormals()
            look = mg_nanoseconds() + PATIENCE
            while turn < end:
                made = self.make_turn(turn)
                if not made.whole:
                    break
                turn += 1
                if mg_nanoseconds() >= look:
                    mg_restore_denormals(before)  # for the handlers, and for who gets what they raise
                    with gil:
                        PyErr_CheckSignals()
                    before = mg_flush_denormals()
                    look = mg_nanoseconds() + PATIENCE
            mg_restore_denormals(before)
        if made.code:
            self.programs[made.part].calls[made.call].complain(made.code)
        return turn - first


def span(buffer):
    """The addresses at which a C-contiguous buffer begins and ends."""
    cdef Py_buffer view
    PyObject_GetBuffer(buffer, &view, PyBUF_ND)
    begin = <uintptr_t>view.buf
    PyBuffer_Release(&view)
    return begin, begin + view.len


cdef void *address(buffer) except? NULL:
    """Where a C-contiguous buffer begins. It stays there as long as somebody holds the buffer."""
    cdef Py_buffer view
    PyObject_GetBuffer(buffer, &view, PyBUF_ND | PyBUF_FORMAT)
    cdef void *at = view.buf
    PyBuffer_Release(&view)
    return at
