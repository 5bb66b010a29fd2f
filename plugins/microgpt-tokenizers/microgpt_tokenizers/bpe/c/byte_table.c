/* A hash table with open addressing: the slot after a taken one is the next to be tried. */

#include "byte_table.h"

#include <stdlib.h>
#include <string.h>

#include "grow.h"
#include "hash.h"

enum { FIRST_SLOTS = 1 << 10 };

static mg_byte_slot *free_slots(uint32_t n)
{
    mg_byte_slot *slots = malloc((size_t)n * sizeof *slots);
    if (slots)
        memset(slots, 0xFF, (size_t)n * sizeof *slots);
    return slots;
}

int mg_byte_table_init(mg_byte_table *table)
{
    memset(table, 0, sizeof *table);
    table->n_slots = FIRST_SLOTS;
    table->slots = free_slots(FIRST_SLOTS);
    return table->slots ? 0 : -1;
}

void mg_byte_table_free(mg_byte_table *table)
{
    free(table->bytes);
    free(table->ends);
    free(table->slots);
    memset(table, 0, sizeof *table);
}

/* The slot of a string, or the free one that it would have. */
static mg_byte_slot *slot_of(const mg_byte_table *table, const uint8_t *bytes, size_t n, uint32_t hash)
{
    const uint32_t mask = table->n_slots - 1;
    for (uint32_t i = hash & mask;; i = (i + 1) & mask) {
        mg_byte_slot *slot = table->slots + i;
        if (slot->number == MG_NOBODY)
            return slot;
        if (slot->hash == hash && mg_byte_table_length(table, slot->number) == n &&
            memcmp(table->bytes + mg_byte_table_begin(table, slot->number), bytes, n) == 0)
            return slot;
    }
}

uint32_t mg_byte_table_find(const mg_byte_table *table, const uint8_t *bytes, size_t n)
{
    return slot_of(table, bytes, n, (uint32_t)mg_hash(bytes, n))->number;
}

/* Twice as many slots. */
static int rehash(mg_byte_table *table)
{
    if (table->n_slots > UINT32_MAX / 4)
        return -1;
    const uint32_t n_slots = 2 * table->n_slots, mask = n_slots - 1;
    mg_byte_slot *slots = free_slots(n_slots);
    if (!slots)
        return -1;
    for (uint32_t i = 0; i < table->n_slots; i++)
        if (table->slots[i].number != MG_NOBODY) {
            uint32_t at = table->slots[i].hash & mask;
            while (slots[at].number != MG_NOBODY)
                at = (at + 1) & mask;
            slots[at] = table->slots[i];
        }
    free(table->slots);
    table->slots = slots;
    table->n_slots = n_slots;
    return 0;
}

uint32_t mg_byte_table_add(mg_byte_table *table, const uint8_t *bytes, size_t n)
{
    const uint32_t hash = (uint32_t)mg_hash(bytes, n);
    mg_byte_slot *slot = slot_of(table, bytes, n, hash);
    if (slot->number != MG_NOBODY)
        return slot->number;
    uint8_t *all = mg_grown(table->bytes, &table->room_for_bytes, table->n_bytes + n, 1);
    if (!all)
        return MG_NOBODY;
    table->bytes = all;
    uint64_t *ends = mg_grown(table->ends, &table->room, (uint64_t)table->n + 1, sizeof *ends);
    if (!ends)
        return MG_NOBODY;
    table->ends = ends;
    if (2 * (table->n + 1) > table->n_slots) {
        if (rehash(table))
            return MG_NOBODY;
        slot = slot_of(table, bytes, n, hash);
    }
    memcpy(table->bytes + table->n_bytes, bytes, n);
    table->n_bytes += n;
    table->ends[table->n] = table->n_bytes;
    *slot = (mg_byte_slot){hash, table->n};
    return table->n++;
}
