/* A chunk's bytes joined to tokens: the pair of the lowest rank first, of equals the leftmost. */

#ifndef MG_MERGE_H
#define MG_MERGE_H

#include "vocabulary.h"

/* What a long chunk needs; it grows with the longest one that there was. */
typedef struct {
    uint32_t *ranks;
    uint64_t *heap;
    uint64_t room_for_ranks, room_for_heap;
} mg_scratch;

void mg_scratch_free(mg_scratch *scratch);

/* The tokens of `n` bytes, in `tokens`, which has room for `n`. Returns how many, 0 without memory. */
size_t mg_merge(
    const mg_vocabulary *vocabulary, mg_scratch *scratch, const uint8_t *chunk, size_t n, uint32_t *tokens);

#endif
