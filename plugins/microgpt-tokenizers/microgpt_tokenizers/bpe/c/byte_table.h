/* A table of distinct byte strings, numbered from 0 on in the order in which they came. What is said of each number is
   its owner's business. It grows; nothing is ever taken out. */

#ifndef MG_BYTE_TABLE_H
#define MG_BYTE_TABLE_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint32_t hash, number; /* number is MG_NOBODY where the slot is free */
} mg_byte_slot;

typedef struct {
    uint8_t *bytes; /* of all strings, one after the other */
    uint64_t n_bytes, room_for_bytes;
    uint64_t *ends; /* where each ends; it begins where the one before ends */
    uint32_t n;
    uint64_t room;
    mg_byte_slot *slots;
    uint32_t n_slots; /* a power of two, at least twice as many as there are strings */
} mg_byte_table;

#define MG_NOBODY UINT32_MAX

int mg_byte_table_init(mg_byte_table *table); /* 0, or -1 without memory; then free it all the same */
void mg_byte_table_free(mg_byte_table *table);

/* The number of a string, MG_NOBODY where it isn't in. */
uint32_t mg_byte_table_find(const mg_byte_table *table, const uint8_t *bytes, size_t n);

/* The number of a string, which is put in if it isn't yet. MG_NOBODY without memory, or with 2^29 strings. */
uint32_t mg_byte_table_add(mg_byte_table *table, const uint8_t *bytes, size_t n);

static inline uint64_t mg_byte_table_begin(const mg_byte_table *table, uint32_t number)
{
    return number ? table->ends[number - 1] : 0;
}

static inline uint64_t mg_byte_table_length(const mg_byte_table *table, uint32_t number)
{
    return table->ends[number] - mg_byte_table_begin(table, number);
}

#endif
