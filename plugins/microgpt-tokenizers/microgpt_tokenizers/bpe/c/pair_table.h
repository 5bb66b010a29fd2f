/* A table from pairs of tokens to numbers. It grows; nothing is ever taken out. */

#ifndef MG_PAIR_TABLE_H
#define MG_PAIR_TABLE_H

#include <stdint.h>

#include "byte_table.h"
#include "hash.h"

typedef struct {
    uint32_t left, right, number; /* number is MG_NOBODY where the slot is free */
} mg_pair_slot;

typedef struct {
    mg_pair_slot *slots;
    uint32_t n, n_slots; /* slots are a power of two, at least twice as many as there are pairs */
} mg_pair_table;

int mg_pair_table_init(mg_pair_table *table); /* 0, or -1 without memory */
void mg_pair_table_free(mg_pair_table *table);
int mg_pair_table_set(mg_pair_table *table, uint32_t left, uint32_t right, uint32_t number); /* 0, or -1 */

static inline mg_pair_slot *mg_pair_slot_of(const mg_pair_table *table, uint32_t left, uint32_t right)
{
    const uint32_t mask = table->n_slots - 1;
    uint32_t i = (uint32_t)mg_mixed((uint64_t)left << 32 | right) & mask;
    while (table->slots[i].number != MG_NOBODY && (table->slots[i].left != left || table->slots[i].right != right))
        i = (i + 1) & mask;
    return table->slots + i;
}

/* The number of a pair, MG_NOBODY where it has none. */
static inline uint32_t mg_pair_find(const mg_pair_table *table, uint32_t left, uint32_t right)
{
    return mg_pair_slot_of(table, left, right)->number;
}

#endif
