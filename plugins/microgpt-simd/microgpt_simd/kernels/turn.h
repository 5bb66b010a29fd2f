/* Matrices turned, LANES x LANES numbers at a time: in registers, and from memory to memory. */

#ifndef MG_TURN_H
#define MG_TURN_H

#include "vector.h"

/* Turn a matrix of LANES x LANES, a vector a row, so that rows become columns. Each step takes neighbouring numbers, pairs
   or fours of two vectors, the lower or the upper ones of each four (or the even or the odd fours): what processors have
   one instruction for. After the first two, vector 4 g + c has column c of each four columns, of rows 4 g to 4 g + 3. */
#define OTHER(i) ((i) ? LANES : 0)
#define LOW_NUMBERS(i, s) ((i) & ~3) + (((i) & 3) >> 1) + OTHER((i) & 1)
#define HIGH_NUMBERS(i, s) LOW_NUMBERS(i, s) + 2
#define LOW_PAIRS(i, s) ((i) & ~3) + ((i) & 1) + OTHER((i) & 2)
#define HIGH_PAIRS(i, s) LOW_PAIRS(i, s) + 2
#define EVEN_FOURS(i, s) 8 * (((i) >> 2) % (LANES / 8)) + ((i) & 3) + OTHER(2 * (i) >= LANES)
#define ODD_FOURS(i, s) EVEN_FOURS(i, s) + 4
#define MIX(a, b, which) __builtin_shufflevector(a, b, EACH_LANE(which, 0))

INLINE void turn(vf x[LANES])
{
    vf y[LANES];
#pragma GCC unroll 4
    for (int i = 0; i < LANES; i += 4) {
        const vf a = MIX(x[i], x[i + 1], LOW_NUMBERS), b = MIX(x[i + 2], x[i + 3], LOW_NUMBERS);
        const vf c = MIX(x[i], x[i + 1], HIGH_NUMBERS), d = MIX(x[i + 2], x[i + 3], HIGH_NUMBERS);
        y[i] = MIX(a, b, LOW_PAIRS);
        y[i + 1] = MIX(a, b, HIGH_PAIRS);
        y[i + 2] = MIX(c, d, LOW_PAIRS);
        y[i + 3] = MIX(c, d, HIGH_PAIRS);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
#if LANES == 16
        const vf a = MIX(y[i], y[i + 4], EVEN_FOURS), b = MIX(y[i + 8], y[i + 12], EVEN_FOURS);
        const vf c = MIX(y[i], y[i + 4], ODD_FOURS), d = MIX(y[i + 8], y[i + 12], ODD_FOURS);
        x[i] = MIX(a, b, EVEN_FOURS);
        x[i + 8] = MIX(a, b, ODD_FOURS);
        x[i + 4] = MIX(c, d, EVEN_FOURS);
        x[i + 12] = MIX(c, d, ODD_FOURS);
#elif LANES == 8
        x[i] = MIX(y[i], y[i + 4], EVEN_FOURS);
        x[i + 4] = MIX(y[i], y[i + 4], ODD_FOURS);
#else
        x[i] = y[i];
#endif
    }
}

/* The same of a part of a matrix: `rows` rows of `columns` numbers (both at most LANES), zeros beyond. */
INLINE void turn_part(vf x[LANES], const float *from, int64_t stride, int64_t rows, int64_t columns)
{
    if (rows == LANES && columns == LANES) {
#pragma GCC unroll 16
        for (int i = 0; i < LANES; i++)
            x[i] = load(from + i * stride);
    } else {
#pragma GCC unroll 16
        for (int i = 0; i < LANES; i++)
            x[i] = i < rows ? load_n(from + i * stride, columns) : (vf){0};
    }
    turn(x);
}

/* From memory to memory: `rows` rows of `columns` numbers, at most LANES each, become `columns` rows, whose vectors are
   written whole, with zeros at the end. It and the next are functions of their own, so that all of a block has registers,
   and a loop around them doesn't keep where each of its rows begins. */
static __attribute__((noinline)) void turn_block(
    float *to, int64_t to_row, const float *from, int64_t row, int64_t rows, int64_t columns)
{
    vf x[LANES];
    turn_part(x, from, row, rows, columns);
#pragma GCC unroll 16
    for (int64_t i = 0; i < LANES; i++)
        if (i < columns)
            store(to + i * to_row, x[i]);
}

/* And back: `rows` rows, whose vectors are read whole, become `columns` rows of `rows` numbers, written or added. */
static __attribute__((noinline)) void turn_back(
    float *to, int64_t to_row, const float *from, int64_t row, int64_t rows, int64_t columns, int add)
{
    vf x[LANES];
    turn_part(x, from, row, rows, LANES);
#pragma GCC unroll 16
    for (int64_t i = 0; i < LANES; i++)
        if (i < columns)
            store_n(to + i * to_row, add ? load_n(to + i * to_row, rows) + x[i] : x[i], rows);
}

#endif
