# Turns of whole programs, again and again, as in the many steps of a training. A part of native.pyx.

DEF PATIENCE = 50_000_000  # nanoseconds that a signal may wait for: short for a person, and 20 looks a second cost nothing
DEF SOON = 500_000  # between looks at the clock, which take as long as a hundredth of the smallest model's turn


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
    cdef outcome warned  # the latest of whose warnings nobody has heard

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
            if made.code == MG_WARNED:
                self.warned = made
                made.code = MG_OK
            elif made.code:
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
        cdef int64_t turn = first, end = first + turns, stride = 1, at = first, now, then, look
        cdef outcome warned, made = outcome(True, MG_OK, 0, 0)
        cdef uint64_t before
        with nogil:
            before = mg_flush_denormals()
            then = mg_nanoseconds()
            look = then + PATIENCE
            while turn < end:
                made = self.make_turn(turn)
                if not made.whole:
                    break
                turn += 1
                if turn < at:
                    continue
                now = mg_nanoseconds()
                stride = 2 * stride if now - then < SOON else 1
                then, at = now, turn + stride
                if now >= look:
                    mg_restore_denormals(before)  # for the handlers, and for who gets what they raise
                    with gil:
                        PyErr_CheckSignals()
                    before = mg_flush_denormals()
                    look = mg_nanoseconds() + PATIENCE
            mg_restore_denormals(before)
        if self.warned.code:
            warned = self.warned
            self.warned.code = MG_OK
            self.programs[warned.part].calls[warned.call].complain(warned.code)
        if made.code:
            self.programs[made.part].calls[made.call].complain(made.code)
        return turn - first
