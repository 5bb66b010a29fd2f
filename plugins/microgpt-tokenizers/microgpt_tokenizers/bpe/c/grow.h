/* Room for more: an array that was asked for with malloc, larger by half at least. */

#ifndef MG_GROW_H
#define MG_GROW_H

#include <stdint.h>
#include <stdlib.h>

/* The array with room for `wanted` items, told in *room; NULL without memory, and then the old one stays. */
static inline void *mg_grown(void *array, uint64_t *room, uint64_t wanted, size_t size)
{
    if (array && wanted <= *room)
        return array;
    uint64_t larger = *room + *room / 2 + 64;
    if (larger < wanted)
        larger = wanted;
    if (larger > SIZE_MAX / size)
        return NULL;
    void *moved = realloc(array, (size_t)larger * size);
    if (moved)
        *room = larger;
    return moved;
}

#endif
