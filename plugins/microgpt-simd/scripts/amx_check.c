/* AMX's products by the processor, beside the same on tiles in plain C (kernels/amx.h): every bit, on Linux.
   amx_check.sh compiles it. It prints a line for each way that the matrices may lie, and fails where a number differs or
   the system gives no tiles. Nothing but the kernel is needed to run it, so that an emulator can. */

#define _GNU_SOURCE

#include <stdint.h>

typedef struct { /* C (m, n) = A (m, k) B (k, n) */
    int64_t m, n, k;
    float *c;
    const float *a, *b, *bias;
    int a_on_side, b_on_side, add;
} example;

#if defined(PRODUCT) /* compiled twice: by_processor, in_c */

#include "../microgpt_simd/kernels/product.h"

int64_t PRODUCT(const mg_call *call, const example *e)
{
    if (e)
        multiply(call, (product){.c = e->c, .c_row = e->n, .m = e->m, .n = e->n, .k = e->k, .add = e->add, .bias = e->bias,
                                 .a = e->a_on_side ? (matrix){e->a, 1, e->m} : (matrix){e->a, e->k, 1},
                                 .b = e->b_on_side ? (matrix){e->b, 1, e->k} : (matrix){e->b, e->n, 1}, .paired = 1});
    return PRODUCT_SCRATCH;
}

#else

#include "../microgpt_simd/team.h"
#include "../microgpt_simd/tiles.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int64_t by_processor(const mg_call *call, const example *e); /* without an example: the floats of scratch for a thread */
int64_t in_c(const mg_call *call, const example *e);

enum { MOST = 1100 * 600, THREADS = 2 };
static float a[MOST], b[MOST], bias[MOST], before[MOST], found[MOST], expected[MOST];

/* Numbers from -1 to 1; a few are denormal, infinite or none, where `strange` says so. */
static void draw(float *x, int64_t n, int strange)
{
    static uint64_t state = 1;
    for (int64_t i = 0; i < n; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        const int64_t bits = (int64_t)(state >> 33);
        x[i] = (float)bits / (float)(1u << 30) - 1;
        if (strange && bits % 97 == 0)
            x[i] = bits % 3 == 0 ? 1e-40f : bits % 3 == 1 ? 3e38f : bits % 2 ? INFINITY : NAN;
    }
}

/* The numbers that differ. */
static int64_t different(const mg_call *call, example e)
{
    int64_t count = 0;
    memcpy(found, before, sizeof found);
    memcpy(expected, before, sizeof expected);
    e.c = found;
    by_processor(call, &e);
    e.c = expected;
    in_c(call, &e);
    for (int64_t i = 0; i < MOST; i++)
        count += memcmp(&found[i], &expected[i], sizeof(float)) && !(found[i] != found[i] && expected[i] != expected[i]);
    return count;
}

int main(void)
{
    const int64_t sizes[][3] = {{1, 1, 1}, {1, 67, 33}, {2, 16, 64}, {16, 16, 32}, {17, 31, 95}, {33, 65, 7}, {48, 33, 513},
                                {67, 40, 1100}, {70, 530, 66}, {128, 128, 128}};
    const int count = (int)(sizeof sizes / sizeof *sizes);
    int64_t wrong = 0;
    const int error = mg_ask_for_tiles();
    if (error) {
        printf("no tiles: %s\n", strerror(error));
        return 1;
    }
    mg_call call = {.team = mg_make_team(THREADS)};
    call.workspace = aligned_alloc(64, (size_t)(THREADS * in_c(&call, 0)) * sizeof(float));
    mg_flush_denormals();
    for (int way = 0; way < 32; way++) {
        const int strange = way / 16;
        int64_t here = 0;
        draw(a, MOST, strange), draw(b, MOST, strange), draw(bias, MOST, strange), draw(before, MOST, strange);
        for (int i = 0; i < count; i++)
            here += different(&call, (example){.m = sizes[i][0], .n = sizes[i][1], .k = sizes[i][2], .a = a, .b = b,
                                               .a_on_side = way & 1, .b_on_side = way >> 1 & 1, .add = way >> 2 & 1,
                                               .bias = way >> 3 & 1 ? bias : 0});
        printf("%s, %s, %s%s%s: %d products, %lld numbers differ\n", way & 1 ? "A on its side" : "A by rows",
               way & 2 ? "B on its side" : "B by rows", way & 4 ? "added to C" : "set", way & 8 ? ", with a bias" : "",
               strange ? ", strange numbers" : "", count, (long long)here);
        fflush(stdout);
        wrong += here;
    }
    return wrong != 0;
}

#endif
