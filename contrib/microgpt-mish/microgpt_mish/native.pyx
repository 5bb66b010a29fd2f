# cython: cdivision=True
"""Mish in native code: the curve and the slope of mish.py with one exponential, none of it too large for a float."""

from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport exp, fabs
from libc.stdint cimport int64_t

from microgpt_simd.native cimport MG_CAPSULE, MG_OK, mg_call, mg_part

cdef enum:
    ALONE = 8192  # for fewer numbers a second worker costs more than it brings


cdef double f(double x) noexcept nogil:
    cdef double e = exp(-fabs(x))
    cdef double top = 1 + 2 * e if x > 0 else e * (2 + e)
    cdef double rest = 2 * e * e if x > 0 else 2
    return 0 if top == 0 else x * top / (top + rest)  # at minus infinity, where x * 0 would be NaN


cdef double df(double x) noexcept nogil:
    cdef double e = exp(-fabs(x))
    cdef double top = 1 + 2 * e if x > 0 else e * (2 + e)
    cdef double rest = 2 * e * e if x > 0 else 2
    cdef double bend = 4 * e * (1 + e) * (e if x > 0 else 1) / (top + rest) / (top + rest)
    return top / (top + rest) if bend == 0 else top / (top + rest) + x * bend


cdef void forward_part(void *job, int64_t first, int64_t last, int worker) noexcept nogil:
    cdef const mg_call *call = <const mg_call *>job
    cdef float *out = <float *>call.array[0].data
    cdef const float *x = <const float *>call.array[1].data
    cdef int64_t i
    for i in range(first, last):
        out[i] = <float>f(x[i])


cdef void backward_part(void *job, int64_t first, int64_t last, int worker) noexcept nogil:
    cdef const mg_call *call = <const mg_call *>job
    cdef float *d_x = <float *>call.array[0].data
    cdef const float *d_out = <const float *>call.array[1].data
    cdef const float *x = <const float *>call.array[2].data
    cdef int64_t i
    for i in range(first, last):
        d_x[i] = (0 if call.array[0].set else d_x[i]) + <float>(d_out[i] * df(x[i]))


cdef int share(const mg_call *call, mg_part part) noexcept nogil:
    cdef int64_t size = call.array[0].size
    if size < ALONE:
        part(<void *>call, 0, size, 0)
    else:
        call.team.share(call.team, size, part, <void *>call)
    return MG_OK


cdef int forward(const mg_call *call) noexcept nogil:
    return share(call, forward_part)


cdef int backward(const mg_call *call) noexcept nogil:
    return share(call, backward_part)


functions = {
    "forward": PyCapsule_New(<void *>forward, MG_CAPSULE, NULL),
    "backward": PyCapsule_New(<void *>backward, MG_CAPSULE, NULL),
}
