/* The matrix product, one step faster at a time: C (m, n) = A (m, k) B (k, n), each matrix row by row without gaps.

   docs/explanation/simd.md walks through these functions, product_steps.py times them. What a vector can do is said in
   vector.h, as it is for the kernels of microgpt-simd. From step 4 on m is a multiple of ROWS and n of COLUMNS: how
   kernels treat the rest is in product.h. `room` has space for the part of B that is packed. */

#include "vector.h"

/* 1. The definition: each number of C is a row of A times a column of B. */
void three_loops(const float *a, const float *b, float *c, int64_t m, int64_t k, int64_t n, float *room)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            float sum = 0;
            for (int64_t p = 0; p < k; p++)
                sum += a[i * k + p] * b[p * n + j];
            c[i * n + j] = sum;
        }
}

/* 2. The inner loops change places, so that B and C are read along their rows. */
void along_rows(const float *a, const float *b, float *c, int64_t m, int64_t k, int64_t n, float *room)
{
    memset(c, 0, (size_t)(m * n) * sizeof(float));
    for (int64_t i = 0; i < m; i++)
        for (int64_t p = 0; p < k; p++)
            for (int64_t j = 0; j < n; j++)
                c[i * n + j] += a[i * k + p] * b[p * n + j];
}

/* 3. A vector of C stays in a register until its sums are complete. */
void one_vector(const float *a, const float *b, float *c, int64_t m, int64_t k, int64_t n, float *room)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j += LANES) {
            vf sum = {0};
            for (int64_t p = 0; p < k; p++)
                sum = fma_(splat(a[i * k + p]), load(b + p * n + j), sum);
            store(c + i * n + j, sum);
        }
}

/* 4. So does a tile of C, ROWS by VECTORS: as many sums as there are registers for, none waiting for another. */
#if LANES == 16
enum { ROWS = 6, VECTORS = 4 };
#else
enum { ROWS = 4, VECTORS = 3 };
#endif
enum { COLUMNS = VECTORS * LANES };

#define EACH_ROW _Pragma("GCC unroll 6") for (int i = 0; i < ROWS; i++)
#define EACH_VECTOR _Pragma("GCC unroll 4") for (int v = 0; v < VECTORS; v++)

INLINE void tile(const float *a, int64_t a_row, const float *b, int64_t b_row, float *c, int64_t c_row, int64_t k, int add)
{
    vf sum[ROWS][VECTORS];
    EACH_ROW EACH_VECTOR sum[i][v] = add ? load(c + i * c_row + v * LANES) : (vf){0};
    for (int64_t p = 0; p < k; p++)
        EACH_ROW EACH_VECTOR sum[i][v] = fma_(splat(a[i * a_row + p]), load(b + p * b_row + v * LANES), sum[i][v]);
    EACH_ROW EACH_VECTOR store(c + i * c_row + v * LANES, sum[i][v]);
}

void tiles(const float *a, const float *b, float *c, int64_t m, int64_t k, int64_t n, float *room)
{
    for (int64_t j = 0; j < n; j += COLUMNS)
        for (int64_t i = 0; i < m; i += ROWS)
            tile(a + i * k, k, b + j, n, c + i * n + j, n, k, 0);
}

/* 5. What a tile reads of B is copied first, its rows one after the other, once for all tiles that read it. */
INLINE void pack(float *to, const float *b, int64_t b_row, int64_t k)
{
    for (int64_t p = 0; p < k; p++)
        memcpy(to + p * COLUMNS, b + p * b_row, COLUMNS * sizeof(float));
}

void packed(const float *a, const float *b, float *c, int64_t m, int64_t k, int64_t n, float *room)
{
    for (int64_t j = 0; j < n; j += COLUMNS) {
        pack(room, b + j, n, k);
        for (int64_t i = 0; i < m; i += ROWS)
            tile(a + i * k, k, room, COLUMNS, c + i * n + j, n, k, 0);
    }
}

/* 6. What is packed at a time is a block of B, STRETCH by at most PANELS * COLUMNS, whatever B's size. */
enum { STRETCH = 256, PANELS = 8 };

INLINE int64_t smaller_of(int64_t a, int64_t b) { return a < b ? a : b; }

void blocked(const float *a, const float *b, float *c, int64_t m, int64_t k, int64_t n, float *room)
{
    for (int64_t n0 = 0; n0 < n; n0 += PANELS * COLUMNS)
        for (int64_t k0 = 0; k0 < k; k0 += STRETCH) {
            const int64_t n1 = smaller_of(n0 + PANELS * COLUMNS, n), k_here = smaller_of(STRETCH, k - k0);
            for (int64_t j = n0; j < n1; j += COLUMNS)
                pack(room + (j - n0) * k_here, b + k0 * n + j, n, k_here);
            for (int64_t i = 0; i < m; i += ROWS)
                for (int64_t j = n0; j < n1; j += COLUMNS)
                    tile(a + i * k + k0, k, room + (j - n0) * k_here, COLUMNS, c + i * n + j, n, k_here, k0 > 0);
        }
}
