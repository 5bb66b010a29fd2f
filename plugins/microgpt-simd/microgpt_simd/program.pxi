# Calls that follow one another, run in one go without the interpreter. A part of native.pyx.

DEF LINE = 64  # bytes at which the numbers of a parameter begin

# Number by number: of buffers that follow one another they can be done in one go.
UPDATES = frozenset({"adam_update", "adamw_update", "sgd_update"})


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
    """Run calls up to the first that fails: its code, and in `at` its number. Or those of the last that warns."""
    cdef int i, code, found = MG_OK
    for i in range(n):
        code = kernels[i](calls[i])
        if code:
            found, at[0] = code, i
            if code != MG_WARNED:
                break
    return found


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
        cdef int i, code, found = MG_OK, at = 0
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
                    found, at = code, i
                    if code != MG_WARNED:
                        break
            else:
                per_tick = <double>(self.ticks[self.n] - self.ticks[0])
                per_tick = (mg_nanoseconds() - start) / per_tick if per_tick else 0
                for i in range(self.n):
                    times[i] = per_tick * <double>(self.ticks[i + 1] - self.ticks[i])
            mg_restore_denormals(before)
        if found:
            self.calls[at].complain(found)
