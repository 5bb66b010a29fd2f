/* A hash table with open addressing, as byte_table.c has it. */

#include "pair_table.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_SLOTS = 1 << 10 };

static mg_pair_slot *free_slots(uint32_t n)
{
    mg_pair_slot *slots = malloc((size_t)n * sizeof *slots);
    if (slots)
        memset(slots, 0xFF, (size_t)n * sizeof *slots);
    return slots;
}

int mg_pair_table_init(mg_pair_table *table)
{
    table->n = 0;
    table->n_slots = FIRST_SLOTS;
    table->slots = free_slots(FIRST_SLOTS);
    return table->slots ? 0 : -1;
}

void mg_pair_table_free(mg_pair_table *table)
{
    free(table->slots);
    table->slots = NULL;
}

/* Twice as many slots. */
static int rehash(mg_pair_table *table)
{
    if (table->n_slots > UINT32_MAX / 4)
        return -1;
    mg_pair_table larger = {free_slots(2 * table->n_slots), table->n, 2 * table->n_slots};
    if (!larger.slots)
        return -1;
    for (uint32_t i = 0; i < table->n_slots; i++)
        if (table->slots[i].number != MG_NOBODY)
            *mg_pair_slot_of(&larger, table->slots[i].left, table->slots[i].right) = table->slots[i];
    free(table->slots);
    *table = larger;
    return 0;
}

int mg_pair_table_set(mg_pair_table *table, uint32_t left, uint32_t right, uint32_t number)
{
    if (2 * (table->n + 1) > table->n_slots && rehash(table))
        return -1;
    mg_pair_slot *slot = mg_pair_slot_of(table, left, right);
    table->n += slot->number == MG_NOBODY;
    *slot = (mg_pair_slot){left, right, number};
    return 0;
}
