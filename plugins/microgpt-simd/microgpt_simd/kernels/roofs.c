/* What this processor can do at best, as micro-kernels: the fewest instructions that keep its arithmetic busy, or its
   loads and stores. The roofline measures with them; no plan has them. Each goes round as often as attribute 0 says. */

#include "loops.h"
#include "product.h"

#if LANES == 4 && defined(__x86_64__)
#include <xmmintrin.h>
#endif

#define ROUNDS (call->attribute[0].integer)

/* Sums that don't wait for each other: a result takes four cycles, and up to four units begin one in each. x86 before
   AVX-512 has 16 registers, of which two hold factors. */
#if defined(__aarch64__) || LANES == 16
enum { CHAINS = 16 };
#else
enum { CHAINS = 12 };
#endif

/* In the workspace each worker has its sums, which are `done` to again and again, beside factors (2,). */
#define COMPUTING(name, target, done) \
    target static void name##_part(void *job, int64_t first, int64_t last, int worker) \
    { \
        const mg_call *call = job; \
        const vf a = splat(FLOATS(0)[0]), b = splat(FLOATS(0)[1]); \
        for (int64_t row = first; row < last; row++) { \
            float *sums = (float *)call->workspace + row * CHAINS * LANES; \
            vf sum[CHAINS]; \
            for (int i = 0; i < CHAINS; i++) \
                sum[i] = load(sums + i * LANES); \
            for (int64_t t = 0; t < ROUNDS; t++) \
                _Pragma("GCC unroll 16") for (int i = 0; i < CHAINS; i++) sum[i] = done; \
            for (int i = 0; i < CHAINS; i++) \
                store(sums + i * LANES, sum[i]); \
        } \
        (void)worker; \
    } \
    static int name(const mg_call *call) \
    { \
        share(call, call->team->threads, 2, name##_part, (void *)call); \
        return MG_OK; \
    }

static int64_t roof_workspace(const mg_call *call)
{
    return call->team->threads * CHAINS * LANES * (int64_t)sizeof(float);
}

COMPUTING(roof_fma, , fma_(sum[i], a, b))

/* Pairs of bfloat16, multiplied and added to a float32. For processors that this level doesn't ask for: whoever calls
   it has looked. */
#if LANES == 16
COMPUTING(
    roof_pairs, __attribute__((target("avx512bf16"))), (vf)_mm512_dpbf16_ps((__m512)sum[i], (__m512bh)a, (__m512bh)b))
#endif

/* The same with AMX's tiles of pairs: six tiles of sums, and two whose numbers are all the factors. */
#if HAS_AMX
enum { TILES_OF_SUMS = 6 };

static void roof_tiles_part(void *job, int64_t first, int64_t last, int worker)
{
    const mg_call *call = job;
    float a[LANES], b[LANES];
    store(a, splat(FLOATS(0)[0]));
    store(b, splat(FLOATS(0)[1]));
    amx_begin();
    for (int64_t row = first; row < last; row++) {
        float *sums = (float *)call->workspace + row * TILES_OF_SUMS * TILE_FLOATS;
#define EACH_TILE_OF_SUMS(DO) DO(0); DO(1); DO(2); DO(3); DO(4); DO(5)
#define TAKE(tile) amx_load(tile, sums + tile * TILE_FLOATS, TILE_ROW)
#define GO_ROUND(tile) amx_dot(tile, 6, 7)
#define GIVE(tile) amx_store(tile, sums + tile * TILE_FLOATS, TILE_ROW)
        amx_load(6, a, 0); /* the same row 16 times */
        amx_load(7, b, 0);
        EACH_TILE_OF_SUMS(TAKE);
        for (int64_t t = 0; t < ROUNDS; t++) {
            EACH_TILE_OF_SUMS(GO_ROUND);
        }
        EACH_TILE_OF_SUMS(GIVE);
    }
    amx_end();
    (void)worker;
}

static int roof_tiles(const mg_call *call)
{
    share(call, call->team->threads, 2, roof_tiles_part, (void *)call);
    return MG_OK;
}

static int64_t roof_tiles_workspace(const mg_call *call)
{
    return call->team->threads * TILES_OF_SUMS * TILE_FLOATS * (int64_t)sizeof(float);
}
#endif

/* Passes over memory, by one thread. Buffers begin where a vector may and hold whole strides; in a stride each vector
   has a register of its own, so that none waits for the one before. */
enum { STRIDE = 128, VECTORS = 8 };

INLINE int fits(const mg_array *x) { return x->size % STRIDE == 0 && (uintptr_t)x->data % sizeof(vf) == 0; }

/* Or the compiler might make one round of several. */
INLINE void round_ends(void) { __asm__ volatile("" ::: "memory"); }

/* out (LANES,) = the exclusive or of all bits of x (n,): one instruction for each load. */
static int roof_read(const mg_call *call)
{
    const mg_array *x = &call->array[1];
    vi bits[VECTORS] = {{0}};
    if (!fits(x))
        return MG_FAILED;
    for (int64_t t = 0; t < ROUNDS; t++, round_ends())
        for (int64_t i = 0; i < x->size; i += VECTORS * LANES)
#pragma GCC unroll 8
            for (int k = 0; k < VECTORS; k++)
                bits[k] ^= (vi)load(FLOATS(1) + i + k * LANES);
    for (int k = 1; k < VECTORS; k++)
        bits[0] ^= bits[k];
    store(FLOATS(0), (vf)bits[0]);
    return MG_OK;
}

/* Past the caches, where the processor can: a line that is written whole needn't be read first. */
INLINE void store_past(float *p, vf x)
{
#if LANES == 16
    _mm512_stream_ps(p, (__m512)x);
#elif LANES == 8
    _mm256_stream_ps(p, (__m256)x);
#elif defined(__x86_64__)
    _mm_stream_ps(p, (__m128)x);
#else
    store(p, x);
#endif
}

#define WRITING(name, put, value) \
    static int name(const mg_call *call) \
    { \
        float *out = FLOATS(0); \
        const float *x = FLOATS(1), *y = x + call->array[0].size; \
        const vf first = load(x); \
        if (!fits(&call->array[0])) \
            return MG_FAILED; \
        for (int64_t t = 0; t < ROUNDS; t++, round_ends()) \
            for (int64_t i = 0; i < call->array[0].size; i += VECTORS * LANES) \
                _Pragma("GCC unroll 8") for (int64_t at = i; at < i + VECTORS * LANES; at += LANES) \
                    put(out + at, value); \
        (void)first, (void)y; \
        return MG_OK; \
    }

/* out (n,) = the first vector of x everywhere; = x (n,); = x + 3 y, where x (2 n,) holds both. */
WRITING(roof_write, store, first)
WRITING(roof_write_past, store_past, first)
WRITING(roof_copy, store, load(x + at))
WRITING(roof_copy_past, store_past, load(x + at))
WRITING(roof_triad, store, fma_(load(y + at), splat(3.0f), load(x + at)))
WRITING(roof_triad_past, store_past, fma_(load(y + at), splat(3.0f), load(x + at)))

/* For level.c's table. */
#if LANES == 16
#define ROOF_OF_PAIRS {"roof.pairs", roof_pairs, roof_workspace},
#else
#define ROOF_OF_PAIRS
#endif
#if HAS_AMX
#define ROOF_OF_TILES {"roof.tiles", roof_tiles, roof_tiles_workspace},
#else
#define ROOF_OF_TILES
#endif
#define ROOFS \
    ROOF_OF_PAIRS ROOF_OF_TILES {"roof.fma", roof_fma, roof_workspace}, {"roof.read", roof_read, 0}, {"roof.write", roof_write, 0}, \
        {"roof.write past", roof_write_past, 0}, {"roof.copy", roof_copy, 0}, {"roof.copy past", roof_copy_past, 0}, \
        {"roof.triad", roof_triad, 0}, {"roof.triad past", roof_triad_past, 0}
