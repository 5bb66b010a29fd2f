/* The distinct chunks of texts, and how often each came. */

#ifndef MG_COUNT_H
#define MG_COUNT_H

#include "byte_table.h"
#include "scanners.h"

typedef struct {
    mg_byte_table chunks;
    int64_t *counts; /* by the chunk's number */
    uint64_t room;
} mg_counter;

int mg_counter_init(mg_counter *counter); /* 0, or -1; then free it all the same */
void mg_counter_free(mg_counter *counter);

int mg_count_chunk(mg_counter *counter, const uint8_t *chunk, size_t n); /* 0, or -1 without memory */

/* The chunks from `at` on until `stop` or a little further. Returns where it stopped, SIZE_MAX without memory. */
size_t mg_count(mg_counter *counter, mg_scanner scan, const uint8_t *text, size_t at, size_t stop, size_t end);

#endif
