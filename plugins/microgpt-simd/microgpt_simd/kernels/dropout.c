/* Dropout: each number is kept and multiplied by 1 / (1 - p), or zeroed, as Philox4x32-10 says of its place in the step.

   Salmon et al. 2011, doi:10.1145/2063384.2063405. */

#include "loops.h"

INLINE void philox(const uint32_t counter[4], uint32_t k0, uint32_t k1, uint32_t word[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
        const uint64_t low = (uint64_t)0xD2511F53u * c0, high = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(high >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(low >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)high;
        c3 = (uint32_t)low;
    }
    word[0] = c0, word[1] = c1, word[2] = c2, word[3] = c3;
}

static void dropout_part(void *job, int64_t first, int64_t last, int worker) /* rows of the first axis */
{
    const mg_call *call = job;
    const mg_array *to = &call->array[0];
    const float *from = FLOATS(1);
    const int32_t *noise = INTS(2);
    const int64_t size = to->size / to->shape[0];
    const double p = call->attribute[0].number;
    const uint64_t limit = (uint64_t)nearbyint(p * 4294967296.0);
    const float kept = (float)(1 / (1 - p));
    for (int64_t r = first; r < last; r++) {
        uint32_t counter[4] = {0, (uint32_t)(noise[2] + r), (uint32_t)call->attribute[1].integer, 0}, word[4];
        for (int64_t i = 0; i < size; i++) {
            if (i % 4 == 0) {
                counter[0] = (uint32_t)(i / 4);
                philox(counter, (uint32_t)noise[0], (uint32_t)noise[1], word);
            }
            float y = from[r * size + i] * (word[i % 4] >= limit ? kept : 0.0f), *out = (float *)to->data + r * size + i;
            *out = to->set ? y : *out + y;
        }
    }
}

static int dropout_forward(const mg_call *call)
{
    mg_array array[3] = {call->array[0], call->array[1], call->array[2]};
    array[0].set = 1;
    mg_call writing = *call;
    writing.array = array;
    share_rows(&writing, array[0].shape[0], array[0].size / array[0].shape[0], dropout_part);
    return MG_OK;
}

static int dropout_backward(const mg_call *call)
{
    const mg_array *d_x = &call->array[0];
    if (d_x->data)
        share_rows(call, d_x->shape[0], d_x->size / d_x->shape[0], dropout_part);
    return MG_OK;
}
