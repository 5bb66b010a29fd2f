/* The matrix product that every product of a GPT becomes: C (m, n) = A (m, k) B (k, n), or C += A B.

   Three loops would do:  for i, for j, for p: C[i][j] += A[i][p] * B[p][j].  What makes it fast is where the numbers lie:

   tile    up to 16 rows by up to 4 vectors of C are kept in registers while p goes over a stretch of k
   pack    the columns of B that a tile reads are copied beside one another first, where they lie far apart; so are A's.
           An activation may be applied on the way: see operands.h
   share   the team's workers take rows of C, or columns where there are more of those

   Where the product is one of bfloat16 numbers, a pair of neighbours along k takes the place of one float, both in memory
   and in a register, and everything else stays as it is: see bfloat16.h. Such a product is packed, unless it has few
   rows. Where the level has AMX it goes another way, in registers that hold whole tiles: see amx_product.h.

   Every number of C is the same sum in the same order, whatever the tile, the packing and the number of workers: over
   stretches of STRETCH numbers of k, one after the other, each summed from its first product to its last. So a row
   computed alone has the same bits as in a batch. */

#ifndef MG_PRODUCT_H
#define MG_PRODUCT_H

#include "operands.h"
#include "share.h"

INLINE void product_in_tiles(const product *p, const int paired)
{
    const int64_t m = p->m, n = p->n, k = p->k, stretch = paired ? 2 * STRETCH : STRETCH;
    const matrix a = p->a, b = p->b;
    const int64_t a_unit = p->a_is_paired ? 2 : 1, b_unit = p->b_is_paired ? 2 : 1; /* of k in what stands there as one */
    const int64_t reach = b.column == 1 ? k / b_unit * b.row : INT64_MAX / 8;
    const bend of_b = bends_b(p);
    const int slopes = p->bent && p->bent->c;
    const int far = reach * 4 > 16 * NEAR && m > 2 * most_rows[1];
    const int packs_b = (paired && !p->b_is_paired) || b.column != 1 || far || (of_b && reach > PACKED_B);
    const int packs_a = (paired && !p->a_is_paired) || bends_a(p) || (a.column != 1 && k * a.column * 4 > NEAR);
    const int64_t columns = packs_b ? (m <= most_rows[1] ? MOST_VECTORS * LANES : paired ? PAIRED_COLUMNS : COLUMNS) : n;
    const int64_t vectors = pieces(n < columns ? n : columns, LANES), most_v = vectors < MOST_VECTORS ? vectors : MOST_VECTORS;
    const int64_t rows = packs_a ? ROWS : m;
    float *const packed_b = p->scratch + PACKED_A;
    /* A weight's gradient has a long k, all tokens, and reads a stretch of A again for all columns: so stretch by stretch,
       while it is in a cache. Other products have a long m, and C is what would be read again from memory. */
    const int by_stretch = a.column != 1;
    const int64_t outer = by_stretch ? k : n, inner = by_stretch ? n : k;
    for (int64_t u = 0; u < outer; u += by_stretch ? stretch : columns) {
        for (int64_t v = 0; v < inner; v += by_stretch ? columns : stretch) {
            const int64_t n0 = by_stretch ? v : u, k0 = by_stretch ? u : v;
            const int64_t n_here = n - n0 < columns ? n - n0 : columns;
            const cut panels = cut_up(pieces(n_here, LANES), most_v);
            const int64_t k_here = k - k0 < stretch ? k - k0 : stretch;
            tile t = {.k = paired ? pieces(k_here, 2) : k_here, .c_row = p->c_row, .add = p->add || k0 > 0};
            matrix near_b = {b.at + k0 / b_unit * b.row + n0, b.row, 1};
            if (of_b && packs_b) {
                pack_bent_b(packed_b, p, panels, k0, k_here, n0, n_here, paired);
            } else if (of_b) { /* so small that there is room for all of it */
                bend_rows(of_b, packed_b, n_here, near_b.at, b.row, k_here, n_here);
                near_b = (matrix){packed_b, n_here, 1};
            } else if (packs_b) {
                pack_b(packed_b, p, panels, k0, k_here, n0, n_here, paired);
            }
            for (int64_t m0 = 0; m0 < m; m0 += rows) {
                const int64_t m_here = m - m0 < rows ? m - m0 : rows;
                const cut strips = cut_up(m_here, most_rows[most_v]);
                matrix some = {a.at + m0 * a.row + k0 / a_unit * a.column, a.row, a.column};
                if (packs_a)
                    some = pack_a(p, some, m_here, k_here, paired);
                for (int64_t i = 0; i < strips.count; i++) {
                    const int64_t row = piece(strips, i), mr = piece(strips, i + 1) - row;
                    t.a = (matrix){some.at + row * some.row, some.row, some.column};
                    for (int64_t j = 0; j < panels.count; j++) {
                        const int64_t v0 = piece(panels, j), nv = piece(panels, j + 1) - v0;
                        const int64_t first = v0 * LANES, end = first + nv * LANES;
                        t.last = end > n_here ? (int)(LANES - (end - n_here)) : LANES;
                        t.b = packs_b ? packed_b + first * t.k : near_b.at + first;
                        t.b_row = packs_b ? nv * LANES : near_b.row;
                        t.bias = p->bias && k0 + k_here == k ? p->bias + n0 + first : 0;
                        t.c = p->c + (m0 + row) * p->c_row + n0 + first;
                        t.next = slopes && k0 + k_here == k ? p->bent->x + (t.c - p->bent->first) : 0;
                        tiles[paired ? PAIRED : t.last < LANES ? RAGGED : WHOLE][nv][mr](&t);
                    }
                }
                if (k0 + k_here == k)
                    bend_c(p, p->c + m0 * p->c_row + n0, m_here, n_here);
            }
        }
    }
}

/* What remains of it where there is nothing to cut: a single panel, a single stretch, and an A that is read where it lies.
   In the smallest models cutting takes as long as multiplying. */
INLINE int is_narrow(const product *p)
{
    const int near_a = p->a.column == 1 || p->k * p->a.column * 4 <= NEAR;
    const int near_b = p->b.column != 1 || p->k * p->b.row * 4 <= 16 * NEAR || p->m <= 2 * most_rows[1];
    return p->n <= MOST_VECTORS * LANES && p->k <= STRETCH && near_a && near_b;
}

static void product_narrow(const product *p)
{
    const int nv = ((int)p->n + LANES - 1) / LANES, last = (int)p->n - (nv - 1) * LANES, most = most_rows[nv];
    const run *of_rows = tiles[last < LANES ? RAGGED : WHOLE][nv];
    tile t = {.k = p->k, .a = p->a, .b = p->b.at, .b_row = p->b.row, .c = p->c, .c_row = p->c_row, .bias = p->bias,
              .add = p->add, .last = last};
    const bend of_a = bends_a(p), of_b = bends_b(p);
    if (of_b || p->b.column != 1) {
        t.b = p->scratch;
        t.b_row = nv * LANES;
        if (of_b)
            bend_rows(of_b, p->scratch, t.b_row, p->b.at, p->b.row, p->k, p->n);
        else
            pack_columns(p->scratch, p->b, p->k, p->n);
    }
    float *const bent = p->scratch + MOST_VECTORS * LANES * STRETCH; /* whole rows, as far apart as they are */
    for (int64_t left = p->m, mr; left > 0; left -= mr) { /* the last two tiles share what is left */
        mr = left <= most ? left : left < 2 * most ? left / 2 : most;
        const float *const next = t.a.at + mr * t.a.row;
        if (of_a) {
            bend_rows(of_a, bent, t.a.row, t.a.at, t.a.row, mr, p->k);
            t.a.at = bent;
        }
        of_rows[mr](&t);
        bend_c(p, t.c, mr, p->n);
        t.a.at = next;
        t.c += mr * t.c_row;
    }
}

#include "amx_product.h"

/* A few rows times a matrix on its side, such as one token's numbers times a weight: packing would cost more than
   multiplying, so LANES x LANES numbers at a time are turned in registers and used there. The sums are those of a tile. */
enum { FEW = 4 };

INLINE void product_in_registers(const product *p, const int m, const int paired)
{
    const int64_t n = p->n, k = p->k;
    const matrix a = p->a, b = p->b;
    const int64_t unit = paired ? 2 : 1, stretch = unit * STRETCH;
    for (int64_t j = 0; j < n; j += LANES) {
        const int64_t some = n - j < LANES ? n - j : LANES;
        for (int64_t k0 = 0; k0 < k; k0 += stretch) {
            const int64_t end = k - k0 < stretch ? k : k0 + stretch;
            vf sum[FEW];
#pragma GCC unroll 4
            for (int i = 0; i < m; i++)
                sum[i] = (vf){0};
            for (int64_t q = k0; q < end; q += unit * LANES) {
                const int64_t here = pieces(end - q < unit * LANES ? end - q : unit * LANES, unit);
                vf x[LANES];
                float left[FEW][LANES];
                if (paired)
                    turn_pairs(x, b.at + j * b.column + q, b.column, some, end - q);
                else
                    turn_part(x, b.at + j * b.column + q, b.column, some, here);
#pragma GCC unroll 4
                for (int i = 0; i < m; i++)
                    store(left[i], paired ? load_pairs(a.at + i * a.row + q, end - q) : load_n(a.at + i * a.row + q, here));
#pragma GCC unroll 16
                for (int l = 0; l < LANES; l++)
                    if (l < here)
#pragma GCC unroll 4
                        for (int i = 0; i < m; i++)
                            sum[i] = times(splat(left[i][l]), x[l], sum[i], paired);
            }
#pragma GCC unroll 4
            for (int i = 0; i < m; i++) {
                float *to = p->c + i * p->c_row + j;
                vf total = p->add || k0 ? sum[i] + load_n(to, some) : sum[i];
                store_n(to, p->bias && end == k ? total + load_n(p->bias + j, some) : total, some);
            }
        }
    }
}

#define FEW_ROWS(kind, m, paired) \
    static void kind##_##m(const product *p) { product_in_registers(p, m, paired); }
FEW_ROWS(few_floats, 1, 0) FEW_ROWS(few_floats, 2, 0) FEW_ROWS(few_floats, 3, 0) FEW_ROWS(few_floats, 4, 0)
static void many_floats(const product *p) { product_in_tiles(p, 0); }
#if !HAS_AMX
FEW_ROWS(few_pairs, 1, 1) FEW_ROWS(few_pairs, 2, 1) FEW_ROWS(few_pairs, 3, 1) FEW_ROWS(few_pairs, 4, 1)
static void many_pairs(const product *p) { product_in_tiles(p, 1); }
#endif

/* By one worker, whose scratch the product has. It comes by address: as an argument its numbers would be copied in
   vectors, which has to wait for numbers that were written one by one just before. */
static void product_part(const product *p)
{
    static void (*const ways[2][FEW + 1])(const product *) = {
        {many_floats, few_floats_1, few_floats_2, few_floats_3, few_floats_4},
#if HAS_AMX
        {amx_product, amx_product, amx_product, amx_product, amx_product},
#else
        {many_pairs, few_pairs_1, few_pairs_2, few_pairs_3, few_pairs_4},
#endif
    };
    const int few = p->b.column != 1 && p->a.column == 1 && !p->bent && !p->a_is_paired && p->m <= FEW ? (int)p->m : 0;
    if (!few && !p->paired && is_narrow(p))
        product_narrow(p);
    else
        ways[p->paired != 0][few](p);
}

static void product_rows(void *job, int64_t first, int64_t last, int worker)
{
    product part = *(const product *)job;
    part.m = last - first;
    part.a.at += first * part.a.row;
    part.c += first * part.c_row;
    part.scratch += worker * PRODUCT_SCRATCH;
    product_part(&part);
}

static void product_columns(void *job, int64_t first, int64_t last, int worker) /* in vectors */
{
    product part = *(const product *)job;
    const int64_t from = first * LANES, to = last * LANES < part.n ? last * LANES : part.n;
    part.n = to - from;
    part.b.at += from * part.b.column;
    part.c += from;
    part.bias = part.bias ? part.bias + from : 0;
    part.scratch += worker * PRODUCT_SCRATCH;
    product_part(&part);
}

/* Below so many multiply-adds a second worker costs more than it brings. */
enum { PRODUCT_ALONE = 1 << 18 };

INLINE void multiply(const mg_call *call, product p)
{
    p.scratch = call->workspace;
    if (call->team->threads < 2 || p.m * p.n * p.k < PRODUCT_ALONE)
        product_part(&p);
    else if (p.m >= p.n)
        call->team->share(call->team, p.m, product_rows, &p);
    else
        call->team->share(call->team, pieces(p.n, LANES), product_columns, &p);
}

#endif
