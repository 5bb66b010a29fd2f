/* How a vocabulary is put together.

   Where the rule is "whatever makes a token" there seem to be as many pairs as tokens have places to be parted at. But
   a token's bytes become it in one way only: joining goes on inside of them as if they stood alone, until two
   parts are left, and these are the pair. So there is one pair for each token, and none for a token that its own bytes
   don't become; it comes from a chunk that is it. */

#include "vocabulary.h"

#include <stdlib.h>
#include <string.h>

#include "grow.h"
#include "merge.h"

int mg_vocabulary_init(mg_vocabulary *vocabulary)
{
    memset(vocabulary, 0, sizeof *vocabulary);
    return mg_byte_table_init(&vocabulary->tokens) || mg_pair_table_init(&vocabulary->ranks) ? MG_NO_MEMORY : MG_DONE;
}

void mg_vocabulary_free(mg_vocabulary *vocabulary)
{
    mg_byte_table_free(&vocabulary->tokens);
    mg_pair_table_free(&vocabulary->ranks);
    free(vocabulary->made);
    free(vocabulary->whole);
}

int mg_vocabulary_add(mg_vocabulary *vocabulary, const uint8_t *bytes, size_t n)
{
    return mg_byte_table_add(&vocabulary->tokens, bytes, n) == MG_NOBODY ? MG_NO_MEMORY : MG_DONE;
}

int mg_vocabulary_find_singles(mg_vocabulary *vocabulary)
{
    for (int i = 0; i < 256; i++) {
        const uint8_t byte = (uint8_t)i;
        vocabulary->singles[i] = mg_byte_table_find(&vocabulary->tokens, &byte, 1);
        if (vocabulary->singles[i] == MG_NOBODY)
            return MG_NO_TOKEN;
    }
    return MG_DONE;
}

int mg_vocabulary_merge(
    mg_vocabulary *vocabulary, const uint8_t *left, size_t n_left, const uint8_t *right, size_t n_right)
{
    uint8_t *both = malloc(n_left + n_right + 1); /* malloc(0) may give nothing */
    if (!both)
        return MG_NO_MEMORY;
    memcpy(both, left, n_left);
    memcpy(both + n_left, right, n_right);
    const uint32_t a = mg_byte_table_find(&vocabulary->tokens, left, n_left);
    const uint32_t b = mg_byte_table_find(&vocabulary->tokens, right, n_right);
    const uint32_t token = mg_byte_table_find(&vocabulary->tokens, both, n_left + n_right);
    free(both);
    if (a == MG_NOBODY || b == MG_NOBODY || token == MG_NOBODY)
        return MG_NO_TOKEN;
    uint32_t *made = mg_grown(vocabulary->made, &vocabulary->room, vocabulary->n_made + 1, sizeof *made);
    if (!made)
        return MG_NO_MEMORY;
    vocabulary->made = made;
    made[vocabulary->n_made] = token;
    return mg_pair_table_set(&vocabulary->ranks, a, b, (uint32_t)vocabulary->n_made++);
}

/* How many tokens a token's bytes become. The last two are in `parts`, if there are as many. */
static size_t parts_of(const mg_vocabulary *vocabulary, uint32_t token, mg_scratch *scratch, uint32_t *room)
{
    const mg_byte_table *tokens = &vocabulary->tokens;
    const uint8_t *bytes = tokens->bytes + mg_byte_table_begin(tokens, token);
    return mg_merge(vocabulary, scratch, bytes, (size_t)mg_byte_table_length(tokens, token), room);
}

static uint64_t longest(const mg_byte_table *tokens)
{
    uint64_t most = 0;
    for (uint32_t token = 0; token < tokens->n; token++)
        if (mg_byte_table_length(tokens, token) > most)
            most = mg_byte_table_length(tokens, token);
    return most;
}

/* The tokens, shorter ones first, of equals the first first. NULL without memory. */
static uint32_t *by_length(const mg_byte_table *tokens, uint64_t most)
{
    uint32_t *order = malloc((size_t)tokens->n * sizeof *order);
    uint32_t *next = calloc((size_t)most + 2, sizeof *next); /* where the next of each length goes */
    if (order && next) {
        for (uint32_t token = 0; token < tokens->n; token++)
            next[mg_byte_table_length(tokens, token) + 1]++;
        for (uint64_t length = 1; length <= most; length++)
            next[length] += next[length - 1];
        for (uint32_t token = 0; token < tokens->n; token++)
            order[next[mg_byte_table_length(tokens, token)]++] = token;
    } else {
        free(order);
        order = NULL;
    }
    free(next);
    return order;
}

int mg_vocabulary_of_ranks(mg_vocabulary *vocabulary)
{
    const uint32_t n = vocabulary->tokens.n;
    const uint64_t most = longest(&vocabulary->tokens);
    uint32_t *order = by_length(&vocabulary->tokens, most), *parts = malloc((size_t)(most + 1) * sizeof *parts);
    mg_scratch scratch = {0};
    int failed = !order || !parts || !(vocabulary->whole = malloc(n + 1));
    for (uint32_t i = 0; !failed && i < n; i++) {
        const uint32_t token = order[i];
        if (mg_byte_table_length(&vocabulary->tokens, token) < 2)
            continue;
        const size_t found = parts_of(vocabulary, token, &scratch, parts);
        failed = !found || (found == 2 && mg_pair_table_set(&vocabulary->ranks, parts[0], parts[1], token));
    }
    if (!failed)
        memset(vocabulary->whole, 1, n);
    mg_scratch_free(&scratch);
    free(order);
    free(parts);
    return failed ? MG_NO_MEMORY : MG_DONE;
}

int mg_vocabulary_of_merges(mg_vocabulary *vocabulary)
{
    const uint32_t n = vocabulary->tokens.n;
    uint32_t *parts = malloc((size_t)(longest(&vocabulary->tokens) + 1) * sizeof *parts);
    mg_scratch scratch = {0};
    int failed = !parts || !(vocabulary->whole = malloc(n + 1));
    for (uint32_t token = 0; !failed && token < n; token++) {
        if (mg_byte_table_length(&vocabulary->tokens, token) == 0)
            continue;
        const size_t found = parts_of(vocabulary, token, &scratch, parts);
        failed = !found;
        vocabulary->whole[token] = found == 1; /* and that one is it: no other has its bytes */
    }
    mg_scratch_free(&scratch);
    free(parts);
    return failed ? MG_NO_MEMORY : MG_DONE;
}
