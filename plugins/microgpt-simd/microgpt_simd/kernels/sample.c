/* Sample: a token drawn from exp(z_i / temperature), over the top_k likeliest and of these the fewest that hold top_p.

   Nothing is sorted. Which tokens are kept is known by their least logit, and that is found bit by bit: floats are in the
   order of their bits, read as whole numbers, once the lower bits of negative ones are turned. Thirty looks at a row that
   lies in the cache take less time than to sort it. */

#include "functions.h"
#include "long_sum.h"
#include "loops.h"

typedef struct { /* a row of logits, and exp((z - its largest) / heat) of each */
    const float *z;
    float *power;
    int64_t width;
    float top, heat;
} logits_row;

typedef struct { /* what is kept: logits whose place is above `over`, and of those at it the first `more` */
    int64_t over, more;
} limit;

INLINE vi reordered(vi bits) { return bits ^ ((bits >> 31) & splat_int(0x7fffffff)); }
INLINE vi places(vf z) { return reordered((vi)(z + (vf){0})); } /* -0 becomes 0, which it equals */
INLINE int64_t place(float z) { return places(splat(z))[0]; }
INLINE vf exponential(const logits_row *r, vf z) { return exp_((z - splat(r->top)) / splat(r->heat)); }

/* -1 in the lanes of a logit whose place is `least` or above. */
INLINE vi from(const logits_row *r, int64_t i, int64_t n, int64_t least)
{
    return (places(get(r->z + i, n)) >= splat_int((int32_t)least)) & (lane_numbers() < splat_int((int32_t)n));
}

static int64_t count_from(const logits_row *r, int64_t least)
{
    vi counts = {0};
    EACH_VECTOR (i, n, 0, r->width)
        counts -= from(r, i, n, least);
    int64_t count = 0;
    for (int lane = 0; lane < LANES; lane++)
        count += counts[lane];
    return count;
}

static double mass_from(const logits_row *r, int64_t least)
{
    long_sum mass = {0};
    EACH_VECTOR (i, n, 0, r->width)
        add_term(&mass, choose(from(r, i, n, least), get(r->power + i, n), (vf){0}));
    return all_lanes(&mass);
}

/* The k largest. At `low` or above are always k or more, at `high` or above fewer: `above`. */
static limit largest_k(const logits_row *r, int64_t k)
{
    int64_t low = INT32_MIN, high = place(r->top) + 1, above = 0;
    if (k == 1)
        return (limit){place(r->top), 1};
    while (high - low > 1) {
        const int64_t middle = low + (high - low) / 2, count = count_from(r, middle);
        if (count == k)
            return (limit){middle - 1, 0};
        if (count > k)
            low = middle;
        else
            high = middle, above = count;
    }
    return (limit){low, k - above};
}

/* Of what is kept the fewest that hold a share of it. Those at `low` or above always hold enough, those at `high` or
   above too little. Masses are rounded to floats: a share of 1 may leave out what has less than 1e-7 of it. */
static limit fewest(const logits_row *r, limit c, double share)
{
#define POWER_AT(place) (double)exponential(r, (vf)reordered(splat_int((int32_t)(place))))[0]
    const double of_equals = c.more ? (double)c.more * POWER_AT(c.over) : 0;
    const double wanted = share * (mass_from(r, c.over + 1) + of_equals);
    int64_t low = c.over, high = place(r->top) + 1;
    double above = 0;
    while (high - low > 1) {
        const int64_t middle = low + (high - low) / 2;
        const double mass = mass_from(r, middle);
        if (mass >= wanted)
            low = middle;
        else
            high = middle, above = mass;
    }
    /* At least one, should `wanted` be so small a number that it was flushed to zero. */
    const double most = (double)(low == c.over ? c.more : r->width), needed = fmax(1, ceil((wanted - above) / POWER_AT(low)));
    return (limit){low, (int64_t)(needed < most ? needed : most)};
#undef POWER_AT
}

/* Make the powers zero of what isn't kept. */
static void leave_out(const logits_row *r, limit c)
{
    EACH_VECTOR (i, n, 0, r->width) {
        vi kept = from(r, i, n, c.over + 1);
        const vi equal = from(r, i, n, c.over) & ~kept;
        if (c.more && largest_int_lane(-equal))
            for (int lane = 0; lane < LANES; lane++)
                if (equal[lane] && c.more)
                    kept[lane] = -1, c.more--;
        put(r->power + i, choose(kept, get(r->power + i, n), (vf){0}), n);
    }
}

static double mass(const logits_row *r, int64_t i) { return total(r->power + i, r->width - i < BLOCK ? r->width - i : BLOCK); }

/* The first i with power_0 + ... + power_i > wanted; should rounding miss it, the last with any power. */
static int64_t first_beyond(const logits_row *r, double wanted)
{
    int64_t i = 0, end = r->width;
    for (double next; i < r->width && (next = mass(r, i)) <= wanted; i += BLOCK)
        wanted -= next;
    for (end = i + BLOCK < end ? i + BLOCK : end; i < end; i++)
        if ((wanted -= r->power[i]) < 0)
            return i;
    while (end > 1 && r->power[end - 1] == 0)
        end--;
    return end - 1;
}

static int64_t sample_workspace(const mg_call *call)
{
    return call->team->threads * blocks(call->array[3].width) * BLOCK * (int64_t)sizeof(float);
}

static void sample_part(void *job, int64_t first, int64_t last, int worker)
{
    const mg_call *call = job;
    const mg_attribute *temperature = &call->attribute[0], *top_k = &call->attribute[1], *top_p = &call->attribute[2];
    const int64_t width = call->array[3].width, k = temperature->number == 0 ? 1 : top_k->integer;
    float *const power = (float *)call->workspace + worker * blocks(width) * BLOCK;
    const double heat = temperature->number == 0 ? 1 : fmin(fmax(temperature->number, FLT_MIN), FLT_MAX);
    for (int64_t t = first; t < last; t++) {
        const float *z = FLOATS(3) + t * width;
        const logits_row r = {z, power, width, largest(z, width), (float)heat};
        const float sum = powers(power, z, r.top, width, -1);
        if (!(sum < INFINITY)) { /* NaN, from a logit that is NaN or infinity */
            INTS(0)[t] = -1;
            FLOATS(1)[t] = FLOATS(2)[t] = NAN;
            continue;
        }
        if (heat != 1)
            EACH_VECTOR (i, n, 0, width)
                put(power + i, exponential(&r, get(z + i, n)), n);
        limit c = {INT32_MIN, 0}; /* all */
        if (k && k < width)
            c = largest_k(&r, k);
        if (top_p->given && temperature->number != 0)
            c = fewest(&r, c, top_p->number);
        if (c.over != INT32_MIN)
            leave_out(&r, c);
        double all = 0;
        for (int64_t i = 0; i < width; i += BLOCK)
            all += mass(&r, i);
        const int64_t token = first_beyond(&r, INTS(4)[t] / 2147483648.0 * all);
        INTS(0)[t] = (int32_t)token;
        FLOATS(1)[t] = (float)(power[token] / all);
        FLOATS(2)[t] = z[token] - r.top - log_(splat(sum))[0];
    }
}

static int sample_forward(const mg_call *call)
{
    share_rows(call, call->array[3].rows, call->array[3].width, sample_part);
    return MG_OK;
}
