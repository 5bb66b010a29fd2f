# cython: language_level=3, boundscheck=False, wraparound=False
"""Native kernels bound to their buffers: calls, programs of calls, and loops of programs, run without the interpreter.

One extension module, so that each can reach the C of the one before; a file for each: call, program, loop.
"""

from cpython.buffer cimport PyBUF_FORMAT, PyBUF_ND, PyBuffer_Release, PyObject_GetBuffer
from cpython.exc cimport PyErr_CheckSignals
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.math cimport isfinite
from libc.stdint cimport uintptr_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

import warnings

from microgpt_core.errors import DataError

DEF MOST_ARRAYS = 16
DEF MOST_ATTRIBUTES = 8


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


cdef extern from "tiles.h" nogil:
    int mg_ask_for_tiles()


def cpu_features():
    """What the processor can do, as far as kernels are made for it: {"avx2", "fma", ...}."""
    cdef int i = 0
    found = set()
    while mg_cpu_feature(i) is not NULL:
        found.add((<bytes>mg_cpu_feature(i)).decode())
        i += 1
    return frozenset(found - {""})


def ask_for_tiles():
    """Ask the system for AMX's tiles, for this process, its threads and its children: 0, or errno's number."""
    return mg_ask_for_tiles()


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


include "call.pxi"
include "program.pxi"
include "loop.pxi"
