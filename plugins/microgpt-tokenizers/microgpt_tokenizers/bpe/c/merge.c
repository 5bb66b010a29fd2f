/* Short chunks: look at all pairs again and again. Long ones: a heap of them, so that n bytes take n log n.

   Of a long chunk a token stands at its first place and at its last one, a place being a byte. So the one after it is a
   step of its length ahead, and of the one before it the last place is right behind. */

#include "merge.h"

#include <stdlib.h>
#include <string.h>

#include "grow.h"

/* With eight children a node has them in one or two lines of the cache, and a heap of a million is seven levels. */
enum { MOST_LOOKED_AT = 32, CHILDREN = 8 };

void mg_scratch_free(mg_scratch *scratch)
{
    free(scratch->ranks);
    free(scratch->heap);
}

static uint32_t made(const mg_vocabulary *vocabulary, uint32_t rank)
{
    return vocabulary->made ? vocabulary->made[rank] : rank;
}

static size_t merge_short(const mg_vocabulary *vocabulary, const uint8_t *chunk, size_t n, uint32_t *tokens)
{
    uint32_t ranks[MOST_LOOKED_AT]; /* of tokens[i] and tokens[i + 1] */
    for (size_t i = 0; i < n; i++)
        tokens[i] = vocabulary->singles[chunk[i]];
    for (size_t i = 0; i + 1 < n; i++)
        ranks[i] = mg_pair_find(&vocabulary->ranks, tokens[i], tokens[i + 1]);
    while (n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++)
            if (ranks[i] < ranks[best])
                best = i;
        if (ranks[best] == MG_NOBODY)
            break;
        tokens[best] = made(vocabulary, ranks[best]);
        n--;
        for (size_t i = best + 1; i < n; i++) {
            tokens[i] = tokens[i + 1];
            ranks[i] = ranks[i + 1]; /* of the last one there is none, and none is read */
        }
        if (best + 1 < n)
            ranks[best] = mg_pair_find(&vocabulary->ranks, tokens[best], tokens[best + 1]);
        if (best)
            ranks[best - 1] = mg_pair_find(&vocabulary->ranks, tokens[best - 1], tokens[best]);
    }
    return n;
}

static void sink(uint64_t *heap, size_t n, size_t i)
{
    const uint64_t item = heap[i];
    for (size_t first; (first = CHILDREN * i + 1) < n;) {
        const size_t past = first + CHILDREN < n ? first + CHILDREN : n;
        size_t least = first;
        for (size_t child = first + 1; child < past; child++)
            if (heap[child] < heap[least])
                least = child;
        if (heap[least] >= item)
            break;
        heap[i] = heap[least];
        i = least;
    }
    heap[i] = item;
}

static void push(uint64_t *heap, size_t i, uint64_t item)
{
    for (size_t parent; i && heap[parent = (i - 1) / CHILDREN] > item; i = parent)
        heap[i] = heap[parent];
    heap[i] = item;
}

static size_t length(const mg_vocabulary *vocabulary, uint32_t token)
{
    return (size_t)mg_byte_table_length(&vocabulary->tokens, token);
}

/* Ask for the rank of two neighbours; if they can be joined their place goes on the heap. Returns how many are on it. */
static size_t consider(
    const mg_vocabulary *vocabulary, mg_scratch *scratch, size_t place, uint32_t left, uint32_t right, size_t n_heap)
{
    const uint32_t rank = mg_pair_find(&vocabulary->ranks, left, right);
    scratch->ranks[place] = rank;
    if (rank != MG_NOBODY)
        push(scratch->heap, n_heap++, (uint64_t)rank << 32 | place);
    return n_heap;
}

static size_t merge_long(
    const mg_vocabulary *vocabulary, mg_scratch *scratch, const uint8_t *chunk, size_t n, uint32_t *tokens)
{
    size_t n_heap = 0, found = 0;
    for (size_t i = 0; i < n; i++)
        tokens[i] = vocabulary->singles[chunk[i]];
    for (size_t i = 0; i + 1 < n; i++)
        n_heap = consider(vocabulary, scratch, i, tokens[i], tokens[i + 1], n_heap);
    scratch->ranks[n - 1] = MG_NOBODY;
    while (n_heap) {
        const uint32_t rank = (uint32_t)(scratch->heap[0] >> 32), place = (uint32_t)scratch->heap[0];
        scratch->heap[0] = scratch->heap[--n_heap];
        if (n_heap)
            sink(scratch->heap, n_heap, 0);
        if (scratch->ranks[place] != rank)
            continue; /* one of the two has been joined with another since */
        const size_t middle = place + length(vocabulary, tokens[place]);
        const size_t after = middle + length(vocabulary, tokens[middle]);
        const uint32_t token = made(vocabulary, rank);
        tokens[place] = tokens[after - 1] = token;
        scratch->ranks[place] = scratch->ranks[middle] = MG_NOBODY;
        if (after < n)
            n_heap = consider(vocabulary, scratch, place, token, tokens[after], n_heap);
        if (place) {
            const uint32_t before = tokens[place - 1];
            n_heap = consider(vocabulary, scratch, place - length(vocabulary, before), before, token, n_heap);
        }
    }
    for (size_t i = 0; i < n; found++) {
        tokens[found] = tokens[i]; /* found is at most i */
        i += length(vocabulary, tokens[found]);
    }
    return found;
}

size_t mg_merge(
    const mg_vocabulary *vocabulary, mg_scratch *scratch, const uint8_t *chunk, size_t n, uint32_t *tokens)
{
    if (n <= MOST_LOOKED_AT)
        return merge_short(vocabulary, chunk, n, tokens);
    if (n >= MG_NOBODY)
        return 0;
    uint32_t *ranks = mg_grown(scratch->ranks, &scratch->room_for_ranks, n, sizeof *ranks);
    if (!ranks)
        return 0;
    scratch->ranks = ranks;
    /* Each of at most n pairs goes on it once; then a join takes one off and puts two on at most. */
    uint64_t *heap = mg_grown(scratch->heap, &scratch->room_for_heap, 2 * (uint64_t)n, sizeof *heap);
    if (!heap)
        return 0;
    scratch->heap = heap;
    return merge_long(vocabulary, scratch, chunk, n, tokens);
}
