/* Ops of two buffers of one shape, number by number: `result` is said in terms of a and b, and what d_a and d_b gain in
   terms of d, a and b, where d is out's gradient. READS_NEITHER is for a backward that isn't given a and b. */

#ifndef MG_PAIRWISE_H
#define MG_PAIRWISE_H

#include "loops.h"

enum { READS_NEITHER, READS_BOTH };

#define PAIRWISE_FORWARD(name, result)                                                                      \
    static void name##_forward_part(void *job, int64_t first, int64_t last, int worker)                     \
    {                                                                                                       \
        const mg_call *call = job;                                                                          \
        float *out = FLOATS(0);                                                                             \
        const float *left = FLOATS(1), *right = FLOATS(2);                                                  \
        EACH_VECTOR (i, n, first * BLOCK, block_end(last, call->array[0].size)) {                           \
            vf a = get(left + i, n), b = get(right + i, n);                                                 \
            put(out + i, result, n);                                                                        \
        }                                                                                                   \
    }                                                                                                       \
    static int name##_forward(const mg_call *call)                                                          \
    {                                                                                                       \
        share_numbers(call, call->array[0].size, name##_forward_part);                                      \
        return MG_OK;                                                                                       \
    }

#define PAIRWISE_BACKWARD(name, reads, to_a, to_b)                                                          \
    static void name##_backward_part(void *job, int64_t first, int64_t last, int worker)                    \
    {                                                                                                       \
        const mg_call *call = job;                                                                          \
        const mg_array *d_a = &call->array[0], *d_b = &call->array[1];                                      \
        const float *d_out = FLOATS(2);                                                                     \
        const float *left = reads ? FLOATS(3) : 0, *right = reads ? FLOATS(4) : 0;                          \
        EACH_VECTOR (i, n, first * BLOCK, block_end(last, call->array[2].size)) {                           \
            vf d = get(d_out + i, n), a = reads ? get(left + i, n) : d, b = reads ? get(right + i, n) : d;  \
            vf gain_a = to_a, gain_b = to_b; /* both at once: swiglu's have an exp in common */             \
            (void)a, (void)b;                                                                               \
            if (d_a->data)                                                                                  \
                give(d_a, i, gain_a, n);                                                                    \
            if (d_b->data)                                                                                  \
                give(d_b, i, gain_b, n);                                                                    \
        }                                                                                                   \
    }                                                                                                       \
    static int name##_backward(const mg_call *call)                                                         \
    {                                                                                                       \
        share_numbers(call, call->array[2].size, name##_backward_part);                                     \
        return MG_OK;                                                                                       \
    }

#define PAIRWISE(name, result, reads, to_a, to_b) \
    PAIRWISE_FORWARD(name, result) PAIRWISE_BACKWARD(name, reads, to_a, to_b)

#endif
