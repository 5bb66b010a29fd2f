/* Learning merges from counted chunks: again and again the commonest pair of neighbours becomes a token.

   Counts are kept, not counted anew: a merge changes those of its neighbours only. */

#ifndef MG_TRAINER_H
#define MG_TRAINER_H

#include "count.h"
#include "pair_table.h"

typedef struct {
    uint32_t left, right;
    int64_t count;     /* how often it comes now */
    uint64_t first;    /* in `places`, where it came when it was new: some have gone since */
    uint32_t n_places;
} mg_pair;

typedef struct {
    const uint8_t *bytes;
    uint32_t length;
    uint64_t first_bytes; /* the first eight as a number, which are in the same order as they */
} mg_token;

typedef struct {
    int64_t count; /* what the pair's was when it came here: it may have become less */
    uint32_t pair;
} mg_candidate;

typedef struct { /* a pair of the new token and one before it, or after it, as long as it is being put together */
    int64_t count;
    uint64_t first;
    uint32_t n_places;
} mg_beside;

typedef struct {
    uint32_t place, beside;
} mg_appeared;

typedef struct {
    mg_counter *counter; /* its chunks' bytes and counts stay where they are */
    int64_t least;       /* how often a pair must come */
    uint8_t bytes[256];  /* each byte: the bytes of the first tokens */
    uint32_t *symbols;   /* by place, see trainer.c */
    uint32_t *chunk_at;  /* by place */
    mg_token *tokens;
    uint64_t n_tokens, most_tokens, room_for_tokens;
    mg_pair *pairs;
    uint64_t n_pairs, room_for_pairs;
    mg_pair_table numbers; /* of the pairs */
    uint32_t *places;
    uint64_t n_places, room_for_places;
    mg_candidate *heap;
    uint64_t n_heap, room_for_heap;
    mg_beside *beside; /* by 2 * token, and + 1 where the token comes after the new one */
    uint64_t room_for_beside;
    uint32_t *touched; /* those of them that are in use */
    uint64_t n_touched, room_for_touched;
    mg_appeared *appeared;
    uint64_t n_appeared, room_for_appeared;
    uint32_t *merges; /* two numbers each */
    uint64_t n_merges, room_for_merges;
} mg_trainer;

enum { MG_MORE = 1, MG_FINISHED = 0, MG_WITHOUT_MEMORY = -1, MG_TOO_MUCH = -2 };

/* Begin, with at most so many merges. MG_TOO_MUCH for more than 4 GiB of distinct chunks. Free it in every case. */
int mg_trainer_init(mg_trainer *trainer, mg_counter *counter, uint32_t n_merges, int64_t least);
void mg_trainer_free(mg_trainer *trainer);

/* Go on for a while, until about so many places have been looked at. */
int mg_trainer_go_on(mg_trainer *trainer, uint64_t places);

#endif
