# The C header, for kernels written in Cython: `from microgpt_simd.native cimport mg_call, MG_OK`, with
# microgpt_simd.include() among the folders that the C compiler looks in.
from libc.stdint cimport int32_t, int64_t, uint64_t


cdef extern from "microgpt_simd.h" nogil:
    const char *MG_CAPSULE
    const char *MG_WORKSPACE_CAPSULE
    enum: MG_AXES
    enum: MG_OK
    enum: MG_OUT_OF_RANGE
    enum: MG_FAILED
    enum: MG_WARNED

    ctypedef struct mg_array:
        void *data
        int64_t size
        int64_t rows
        int64_t width
        int64_t shape[4]
        char format
        char set

    ctypedef struct mg_attribute:
        double number
        int64_t integer
        int given

    ctypedef void (*mg_part)(void *job, int64_t first, int64_t last, int worker) noexcept nogil

    ctypedef struct mg_team:
        int threads
        void (*share)(mg_team *team, int64_t n, mg_part part, void *job) noexcept nogil

    ctypedef struct mg_fault:
        int argument
        int64_t at
        int64_t found
        int64_t least
        int64_t most
        const char *warning

    ctypedef struct mg_call:
        const mg_array *array
        const mg_attribute *attribute
        void *workspace
        mg_team *team
        mg_fault *fault

    ctypedef int (*mg_kernel)(const mg_call *call) noexcept nogil
    ctypedef int64_t (*mg_workspace)(const mg_call *call) noexcept nogil
