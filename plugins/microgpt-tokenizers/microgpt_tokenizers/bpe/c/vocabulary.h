/* A vocabulary: its tokens, numbered in the order of their ids, and which neighbours are joined, and when. */

#ifndef MG_VOCABULARY_H
#define MG_VOCABULARY_H

#include "byte_table.h"
#include "pair_table.h"

typedef struct {
    mg_byte_table tokens;
    uint32_t singles[256];  /* the token of each byte */
    mg_pair_table ranks;    /* when a pair is joined: the lower the earlier */
    uint32_t *made;         /* what a rank makes; NULL where the rank is its number */
    uint64_t n_made, room;
    uint8_t *whole;         /* by token: whether a chunk that is it becomes it, without a look at its pairs */
} mg_vocabulary;

enum { MG_DONE = 0, MG_NO_MEMORY = -1, MG_NO_TOKEN = -2 };

int mg_vocabulary_init(mg_vocabulary *vocabulary);
void mg_vocabulary_free(mg_vocabulary *vocabulary);

/* The next token; no other has its bytes. */
int mg_vocabulary_add(mg_vocabulary *vocabulary, const uint8_t *bytes, size_t n);

/* Look for the tokens of the single bytes, once all are there. MG_NO_TOKEN where one is missing. */
int mg_vocabulary_find_singles(mg_vocabulary *vocabulary);

/* The next merge. MG_NO_TOKEN where a side of it, or what it makes, isn't in the vocabulary. */
int mg_vocabulary_merge(
    mg_vocabulary *vocabulary, const uint8_t *left, size_t n_left, const uint8_t *right, size_t n_right);

/* All merges were told: find the chunks that become one token. */
int mg_vocabulary_of_merges(mg_vocabulary *vocabulary);

/* No merges were told: neighbours are joined wherever that makes a token, the lowest number first, and a chunk
   that is a token becomes it. */
int mg_vocabulary_of_ranks(mg_vocabulary *vocabulary);

#endif
