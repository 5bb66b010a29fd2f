/* Linear with a weight that was packed once for many calls, so that a token's product reads memory from one end to the
   other: linear_packed.py says how the numbers lie. The sums are those of linear.c, to the bit: the same tiles add up
   the same stretches of k, only that nothing is left to pack. */

enum { PANEL = 48 };          /* outputs */
enum { PASS = 3 * LANES };    /* outputs of a panel that a tile computes */
_Static_assert(PANEL % PASS == 0, "a panel is whole tiles");

typedef struct {
    const mg_call *call;
    matrix a; /* the rows of x, in pairs where that is what is multiplied */
    int paired;
} packed_job;

INLINE int64_t numbers_of_panel(const mg_array *packed) { return packed->shape[1] * PANEL; }

static void pack_panels(void *job, int64_t first, int64_t last, int worker)
{
    const packed_job *p = job;
    const mg_array *packed = &p->call->array[0], *weight = &p->call->array[1];
    const int64_t k = weight->width, unit = p->paired ? 2 : 1;
    for (int64_t panel = first; panel < last; panel++)
        for (int64_t j = 0; j < PANEL; j += LANES) {
            const int64_t left = weight->rows - panel * PANEL - j, some = left < 0 ? 0 : left < LANES ? left : LANES;
            const float *from = (const float *)weight->data + (some ? panel * PANEL + j : 0) * k;
            float *to = (float *)packed->data + panel * numbers_of_panel(packed) + j;
            for (int64_t q = 0; q < k; q += unit * LANES)
                if (p->paired)
                    turn_block_of_pairs(to + q / 2 * PANEL, PANEL, from + q, k, some, k - q);
                else
                    turn_block(to + q * PANEL, PANEL, from + q, k, some, k - q < LANES ? k - q : LANES);
        }
}

/* One panel's outputs, for all rows of x. A stretch of a panel is read from memory once, and then from the cache. */
static void multiply_panel(const packed_job *job, int64_t panel)
{
    const mg_array *out = &job->call->array[0], *packed = &job->call->array[2];
    const float *bias = job->call->array[3].data;
    const int64_t width = packed->shape[1], rows = out->rows, left = out->width - panel * PANEL;
    const int64_t n = left < PANEL ? left : PANEL;
    for (int64_t k0 = 0; k0 < width; k0 += STRETCH) {
        tile t = {.k = width - k0 < STRETCH ? width - k0 : STRETCH, .b_row = PANEL, .c_row = out->width, .add = k0 > 0};
        for (int64_t j = 0; j < n; j += PASS) {
            const int64_t vectors = pieces(n - j < PASS ? n - j : PASS, LANES);
            const int64_t at = panel * PANEL + j;
            const cut strips = cut_up(rows, most_rows[vectors]);
            t.last = n - j < vectors * LANES ? (int)(n - j - (vectors - 1) * LANES) : LANES;
            t.b = (const float *)packed->data + panel * numbers_of_panel(packed) + k0 * PANEL + j;
            t.bias = bias && k0 + t.k == width ? bias + at : 0;
            for (int64_t i = 0; i < strips.count; i++) {
                const int64_t row = piece(strips, i), mr = piece(strips, i + 1) - row;
                t.a = (matrix){job->a.at + row * job->a.row + k0, job->a.row, 1};
                t.c = (float *)out->data + row * out->width + at;
                tiles[job->paired ? PAIRED : t.last < LANES ? RAGGED : WHOLE][vectors][mr](&t);
            }
        }
    }
}

#if HAS_AMX
/* The same on tiles, to the bits of amx_product: three tiles of outputs are one chain of sums each, from the bias on. */
static void multiply_panel_in_tiles(const packed_job *job, int64_t panel)
{
    const mg_array *out = &job->call->array[0], *packed = &job->call->array[2];
    const float *bias = job->call->array[3].data, *weight = (const float *)packed->data + panel * numbers_of_panel(packed);
    const int64_t width = packed->shape[1], left = out->width - panel * PANEL, row = PANEL * (int64_t)sizeof(float);
    const int64_t whole = width / TILE * TILE; /* pairs that fill their tiles */
    float sums[TILE * PANEL], rest[TILE * PANEL] = {0};
    memcpy(rest, weight + whole * PANEL, (size_t)((width - whole) * row));
    for (int64_t first = 0; first < out->rows; first += TILE) {
        for (int64_t i = 0; i < TILE * PANEL; i++)
            sums[i] = bias && i % PANEL < left ? bias[panel * PANEL + i % PANEL] : 0;
        amx_load(0, sums, row);
        amx_load(1, sums + TILE, row);
        amx_load(2, sums + 2 * TILE, row);
        for (int64_t p = 0; p < width; p += TILE) {
            const float *b = p < whole ? weight + p * PANEL : rest;
            amx_load(3, job->a.at + first * job->a.row + p, job->a.row * (int64_t)sizeof(float));
            amx_load(4, b, row);
            amx_load(5, b + TILE, row);
            amx_load(6, b + 2 * TILE, row);
            amx_dot(0, 3, 4);
            amx_dot(1, 3, 5);
            amx_dot(2, 3, 6);
        }
        amx_store(0, sums, row);
        amx_store(1, sums + TILE, row);
        amx_store(2, sums + 2 * TILE, row);
        for (int64_t i = 0; i < TILE && first + i < out->rows; i++)
            memcpy((float *)out->data + (first + i) * out->width + panel * PANEL, sums + i * PANEL,
                   (size_t)(left < PANEL ? left : PANEL) * sizeof(float));
    }
}
#endif

static void multiply_panels(void *job, int64_t first, int64_t last, int worker)
{
#if HAS_AMX
    if (((const packed_job *)job)->paired) {
        amx_begin();
        for (int64_t panel = first; panel < last; panel++)
            multiply_panel_in_tiles(job, panel);
        amx_end();
        return;
    }
#endif
    for (int64_t panel = first; panel < last; panel++)
        multiply_panel(job, panel);
}

static int pack(const mg_call *call, int paired)
{
    const mg_array *packed = &call->array[0], *weight = &call->array[1];
    packed_job job = {.call = call, .paired = paired};
    share(call, packed->shape[0], ALONE / (weight->width * PANEL) + 1, pack_panels, &job);
    return MG_OK;
}

static int linear_packed_as(const mg_call *call, matrix a, int paired)
{
    const mg_array *x = &call->array[1], *packed = &call->array[2];
    packed_job job = {.call = call, .a = a, .paired = paired};
    const int64_t work = x->rows * x->width * PANEL; /* multiply-adds of a panel */
    share(call, packed->shape[0], PRODUCT_ALONE / work + 1, multiply_panels, &job);
    return MG_OK;
}

static int pack_weight_forward(const mg_call *call) { return pack(call, 0); }
static int pack_weight_bfloat16_forward(const mg_call *call) { return pack(call, 1); }

static int linear_packed_forward(const mg_call *call)
{
    const mg_array *x = &call->array[1];
    return linear_packed_as(call, by_rows(x->data, x->width), 0);
}

/* x in pairs; where the level has AMX, with rows of zeros up to whole tiles. */
static int64_t paired_rows(const mg_call *call)
{
#if HAS_AMX
    return pieces(call->array[1].rows, TILE) * TILE;
#else
    return call->array[1].rows;
#endif
}

static int64_t linear_packed_bfloat16_workspace(const mg_call *call)
{
    return paired_rows(call) * pieces(call->array[1].width, 2 * LANES) * LANES * (int64_t)sizeof(float);
}

static int linear_packed_bfloat16_forward(const mg_call *call)
{
    const mg_array *x = &call->array[1];
    float *pairs = call->workspace;
    const matrix a = pair_a(pairs, by_rows(x->data, x->width), x->rows, x->width);
    memset(pairs + x->rows * a.row, 0, (size_t)((paired_rows(call) - x->rows) * a.row) * sizeof(float));
    return linear_packed_as(call, a, 1);
}
