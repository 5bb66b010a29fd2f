/* Short chunks: look at all pairs again and again. Long ones: a heap of them, so that n bytes take n log n. */

#include "merge.h"

#include <stdlib.h>
#include <string.h>

#include "grow.h"

/* With eight children a node has them in one or two lines of the cache, and a heap of a million is seven levels. */
enum { MOST_LOOKED_AT = 32, CHILDREN = 8 };

struct mg_node {
    uint32_t token, rank; /* rank: of it and the one after; MG_NOBODY where they can't be joined */
    uint32_t before, after;
};

void mg_scratch_free(mg_scratch *scratch)
{
    free(scratch->nodes);
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

/* Ask for the rank of a node and the one after; if they can be joined it goes on the heap, which is then longer. */
static size_t consider(const mg_vocabulary *vocabulary, mg_scratch *scratch, uint32_t i, size_t n_heap)
{
    struct mg_node *node = scratch->nodes + i;
    node->rank = node->after == MG_NOBODY ? MG_NOBODY : mg_pair_find(
        &vocabulary->ranks, node->token, scratch->nodes[node->after].token);
    if (node->rank != MG_NOBODY)
        push(scratch->heap, n_heap++, (uint64_t)node->rank << 32 | i);
    return n_heap;
}

static size_t merge_long(
    const mg_vocabulary *vocabulary, mg_scratch *scratch, const uint8_t *chunk, uint32_t n, uint32_t *tokens)
{
    struct mg_node *nodes = scratch->nodes;
    for (uint32_t i = 0; i < n; i++)
        nodes[i] = (struct mg_node){vocabulary->singles[chunk[i]], MG_NOBODY, i - 1, i + 1}; /* -1 is MG_NOBODY */
    nodes[n - 1].after = MG_NOBODY;
    size_t n_heap = 0;
    for (uint32_t i = 0; i < n; i++)
        n_heap = consider(vocabulary, scratch, i, n_heap);
    while (n_heap) {
        const uint32_t rank = (uint32_t)(scratch->heap[0] >> 32), i = (uint32_t)scratch->heap[0];
        scratch->heap[0] = scratch->heap[--n_heap];
        if (n_heap)
            sink(scratch->heap, n_heap, 0);
        struct mg_node *node = nodes + i;
        if (node->rank != rank)
            continue; /* one of the two has been joined with another since */
        struct mg_node *gone = nodes + node->after;
        gone->rank = MG_NOBODY;
        node->token = made(vocabulary, rank);
        node->after = gone->after;
        if (node->after != MG_NOBODY)
            nodes[node->after].before = i;
        n_heap = consider(vocabulary, scratch, i, n_heap);
        if (node->before != MG_NOBODY)
            n_heap = consider(vocabulary, scratch, node->before, n_heap);
    }
    size_t found = 0;
    for (uint32_t i = 0; i != MG_NOBODY; i = nodes[i].after)
        tokens[found++] = nodes[i].token;
    return found;
}

size_t mg_merge(
    const mg_vocabulary *vocabulary, mg_scratch *scratch, const uint8_t *chunk, size_t n, uint32_t *tokens)
{
    if (n <= MOST_LOOKED_AT)
        return merge_short(vocabulary, chunk, n, tokens);
    if (n >= MG_NOBODY)
        return 0;
    struct mg_node *nodes = mg_grown(scratch->nodes, &scratch->room_for_nodes, n, sizeof *nodes);
    if (!nodes)
        return 0;
    scratch->nodes = nodes;
    /* Each of at most n pairs goes on it once; then a join takes one off and puts two on at most. */
    uint64_t *heap = mg_grown(scratch->heap, &scratch->room_for_heap, 2 * (uint64_t)n, sizeof *heap);
    if (!heap)
        return 0;
    scratch->heap = heap;
    return merge_long(vocabulary, scratch, chunk, (uint32_t)n, tokens);
}
