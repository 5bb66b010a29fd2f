/* Counting chunks: a table of them, and an array of counts beside it. */

#include "count.h"

#include <stdlib.h>
#include <string.h>

#include "grow.h"

int mg_counter_init(mg_counter *counter)
{
    memset(counter, 0, sizeof *counter);
    return mg_byte_table_init(&counter->chunks);
}

void mg_counter_free(mg_counter *counter)
{
    mg_byte_table_free(&counter->chunks);
    free(counter->counts);
    counter->counts = NULL;
}

int mg_count_chunk(mg_counter *counter, const uint8_t *chunk, size_t n)
{
    const uint32_t before = counter->chunks.n, number = mg_byte_table_add(&counter->chunks, chunk, n);
    if (number == MG_NOBODY)
        return -1;
    if (number == before) {
        int64_t *counts = mg_grown(counter->counts, &counter->room, (uint64_t)number + 1, sizeof *counts);
        if (!counts)
            return -1;
        counter->counts = counts;
        counts[number] = 0;
    }
    counter->counts[number]++;
    return 0;
}

size_t mg_count(mg_counter *counter, mg_scanner scan, const uint8_t *text, size_t at, size_t stop, size_t end)
{
    while (at < stop) {
        const size_t past = scan(text, at, end);
        if (mg_count_chunk(counter, text + at, past - at))
            return SIZE_MAX;
        at = past;
    }
    return at;
}
