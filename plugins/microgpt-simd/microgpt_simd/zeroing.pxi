# Gradients between two turns of a loop: zeroed by the one, added to by the other, or simply written. A part of native.pyx.


ctypedef struct stretch:  # of memory
    char *at
    size_t nbytes
    int call  # which one writes it


cdef tuple extent(const mg_array *array):
    """Where an array begins and ends in memory."""
    cdef size_t begin = <size_t>array.data
    return begin, begin + array.size * {"B": 1, "H": 2, "d": 8}.get(chr(array.format), 4)


cdef bint meet(tuple a, tuple b):
    return a[0] < b[1] and b[0] < a[1]


cdef stretch *listed(list found) except NULL:
    cdef int i
    cdef size_t begin, end
    cdef stretch *result = <stretch *>malloc((len(found) or 1) * sizeof(stretch))
    if result is NULL:
        raise MemoryError
    for i, (begin, end, call) in enumerate(found):
        result[i] = stretch(<char *>begin, end - begin, call)
    return result


cdef class Zeroing:
    """What a turn that ends in zeroing gradients needn't zero, since the next turn's first addition can write it.

    That takes two passes over each gradient out of a step: the zeros that are written, and read again to be added to.
    """

    cdef stretch *written  # by calls of the first program, when they follow another turn
    cdef stretch *rest  # what the last call zeroes beside it
    cdef int n_written, n_rest
    cdef mg_call **each  # the first program's calls, when they follow another turn
    cdef list kept
    cdef readonly int64_t spared  # bytes

    def __cinit__(self, Program first, Program last, list copied):
        """Of a turn's programs; `copied` are the extents of what is copied in and out, in between."""
        cdef int i, j
        cdef Call call
        cdef tuple whole, here
        cdef list found, mine, sets, seen = list(copied)
        self.kept, found = [], []
        self.each = <mg_call **>malloc(first.n * sizeof(mg_call *))
        if self.each is NULL:
            raise MemoryError
        whole = extent(last.each[last.n - 1].array)
        if (<Call>last.calls[last.n - 1]).op != "zero" or any(meet(whole, other) for other in copied):
            whole = (0, 0)
        for i in range(first.n):
            self.each[i], call = first.each[i], first.calls[i]
            mine = [(j, extent(&self.each[i].array[j])) for j in range(len(call.names)) if self.each[i].array[j].data]
            mine = [(j, here) for j, here in mine if meet(here, whole)]
            sets = [
                (j, here) for j, here in mine
                if call.may_set[j] and whole[0] <= here[0] and here[1] <= whole[1]
                and not any(meet(here, other) for other in seen)
                and not any(meet(here, other) for k, other in mine if k != j)
            ]
            if sets:
                call = call.copied()
                for j, here in sets:
                    call.arrays[j].set = True
                    found.append((*here, i))
                self.each[i] = &call.call
                self.kept.append(call)
            seen += [here for _, here in mine]
        self.written, self.n_written = listed(found), len(found)
        self.spared = sum(end - begin for begin, end, _ in found)
        found = [(whole[0], whole[0], 0), *sorted(found), (whole[1], whole[1], 0)]
        found = [(before[1], after[0], 0) for before, after in pairwise(found) if before[1] < after[0]]
        self.rest, self.n_rest = listed(found), len(found)

    def __dealloc__(self):
        free(self.each)
        free(self.written)
        free(self.rest)

    cdef void zero_rest(self) noexcept nogil:
        cdef int i
        for i in range(self.n_rest):
            memset(self.rest[i].at, 0, self.rest[i].nbytes)

    cdef void zero_written(self, int call) noexcept nogil:
        """What this call of the first program, and those behind it, would have written."""
        cdef int i
        for i in range(self.n_written):
            if self.written[i].call >= call:
                memset(self.written[i].at, 0, self.written[i].nbytes)
