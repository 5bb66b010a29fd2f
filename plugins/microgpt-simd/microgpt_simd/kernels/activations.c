/* Activations, y = f(x): each in two lines, f and its derivative. d_x += d_out f'(x).

   A product that reads f(x), or whose result is to be multiplied by f'(x), has them a row at a time: see `bend`. */

#include "functions.h"
#include "loops.h"

#define ZERO ((vf){0})
#define ONE splat(1.0f)

/* sigmoid(x) (1 - sigmoid(x)) = e / (1 + e)^2 with e = exp(-|x|): no digits are lost where sigmoid is near 1. */
INLINE vf sigmoid_slope(vf x)
{
    vf e = exp_(-magnitude(x));
    return e / ((ONE + e) * (ONE + e));
}

/* x <= 0, and not NaN. By its bits, since x <= 0 would hold of a denormal that is taken for 0. */
INLINE vi not_positive(vf x) { return ((vi)x <= (vi){0}) & (x == x); }

INLINE vf relu_f(vf x) { return choose(not_positive(x), ZERO, x); }
INLINE vf relu_df(vf x) { return choose(not_positive(x), ZERO, ONE); }

INLINE vf relu2_f(vf x) { return choose(not_positive(x), ZERO, x * x); }
INLINE vf relu2_df(vf x) { return choose(not_positive(x), ZERO, x + x); }

INLINE vf sigmoid_f(vf x) { return sigmoid_(x); }
INLINE vf sigmoid_df(vf x) { return sigmoid_slope(x); }

INLINE vf tanh_f(vf x) { return tanh_(x); }
INLINE vf tanh_df(vf x) { return splat(4.0f) * sigmoid_slope(x + x); }

INLINE vf silu_f(vf x) { return choose(x == splat(-INFINITY), ZERO, x * sigmoid_(x)); }
INLINE vf silu_df(vf x)
{
    vf slope = sigmoid_slope(x);
    return sigmoid_(x) + choose(slope == ZERO, ZERO, x * slope);
}

INLINE vf gelu_f(vf x) { return choose(x <= ZERO, ZERO, x) - choose(magnitude(x) > splat(40.0f), ZERO, magnitude(x) * normal_tail(x)); }
INLINE vf gelu_df(vf x) /* P(x) + x p(x) = [x >= 0] + sign(x) (|x| p(x) - P(-|x|)) */
{
    vf size = magnitude(x);
    vf density = splat(0.39894228f) * exp_(splat(-0.5f) * x * x);
    vf rest = choose(density == ZERO, ZERO, size * density) - normal_tail(x);
    return choose(x < ZERO, -rest, ONE + rest);
}

/* x (1 + tanh(u)) / 2 = x sigmoid(2 u), with u = sqrt(2 / pi) (x + 0.044715 x^3) */
INLINE vf gelu_tanh_2u(vf x) { return splat(1.5957691f) * x * fma_(x * x, splat(0.044715f), ONE); }
INLINE vf gelu_tanh_f(vf x) { return choose(x == splat(-INFINITY), ZERO, x * sigmoid_(gelu_tanh_2u(x))); }
INLINE vf gelu_tanh_df(vf x)
{
    vf z = gelu_tanh_2u(x), slope = sigmoid_slope(z);
    vf inner = splat(1.5957691f) * fma_(x * x, splat(3 * 0.044715f), ONE);
    return sigmoid_(z) + choose(slope == ZERO, ZERO, x * slope * inner);
}

#define UNARY(name)                                                                                     \
    static void name##_values(float *to, const float *x, int64_t size)                                  \
    {                                                                                                   \
        EACH_VECTOR (i, n, 0, size)                                                                     \
            put(to + i, name##_f(get(x + i, n)), n);                                                    \
    }                                                                                                   \
    static void name##_slopes(float *d, const float *x, int64_t size)                                   \
    {                                                                                                   \
        EACH_VECTOR (i, n, 0, size)                                                                     \
            put(d + i, get(d + i, n) * name##_df(get(x + i, n)), n);                                    \
    }                                                                                                   \
    static void name##_forward_part(void *job, int64_t first, int64_t last, int worker)                 \
    {                                                                                                   \
        const mg_call *call = job;                                                                      \
        const int64_t from = first * BLOCK, to = block_end(last, call->array[0].size);                  \
        name##_values(FLOATS(0) + from, FLOATS(1) + from, to - from);                                   \
    }                                                                                                   \
    static int name##_forward(const mg_call *call)                                                      \
    {                                                                                                   \
        share_numbers(call, call->array[0].size, name##_forward_part);                                  \
        return MG_OK;                                                                                   \
    }                                                                                                   \
    static void name##_backward_part(void *job, int64_t first, int64_t last, int worker)                \
    {                                                                                                   \
        const mg_call *call = job;                                                                      \
        const float *d_out = FLOATS(1), *x = FLOATS(2);                                                 \
        EACH_VECTOR (i, n, first * BLOCK, block_end(last, call->array[0].size))                         \
            give(&call->array[0], i, get(d_out + i, n) * name##_df(get(x + i, n)), n);                  \
    }                                                                                                   \
    static int name##_backward(const mg_call *call)                                                     \
    {                                                                                                   \
        if (FLOATS(0))                                                                                  \
            share_numbers(call, call->array[0].size, name##_backward_part);                             \
        return MG_OK;                                                                                   \
    }

UNARY(relu)
UNARY(relu2)
UNARY(sigmoid)
UNARY(tanh)
UNARY(silu)
UNARY(gelu)
UNARY(gelu_tanh)
