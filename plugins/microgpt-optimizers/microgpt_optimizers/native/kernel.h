/* What the update rules in C share: their arguments, how work is cut, and sums whose order no thread can change.

   An update's arguments are w, grad, factor, lr, step (0 to 4) and then its state. Nothing moves where the factor
   isn't finite. Loops over numbers are plain, so that every compiler makes vectors of them. */

#ifndef MICROGPT_OPTIMIZERS_KERNEL_H
#define MICROGPT_OPTIMIZERS_KERNEL_H

#include <math.h>
#include <stdint.h>

#include "lanes.h"
#include "microgpt_simd.h"

enum {
    ALONE = 8192, /* for fewer numbers a second worker costs more than it brings */
    TERMS = 1024  /* numbers that are summed in float32 before they go into a double */
};

#define FLOATS(i) ((float *)call->array[i].data)
#define NUMBER(i) (call->attribute[i].number)
#define FACTOR (*FLOATS(2))
#define LR (*FLOATS(3))
#define STEP (*FLOATS(4))

/* n items with so many numbers in all; what is shared is what is written, so that any number of threads gives the
   same bits. */
static inline void share(const mg_call *call, int64_t n, int64_t numbers, mg_part part, void *job)
{
    if (numbers < ALONE)
        part(job, 0, n, 0);
    else
        call->team->share(call->team, n, part, job);
}

/* The sum of (scale x[i])^2. */
INLINE double sum_of_squares(const float *x, int64_t n, float scale)
{
    double total = 0;
    for (int64_t from = 0; from < n; from += TERMS) {
        const int64_t to = from + TERMS < n ? from + TERMS : n;
        const lanes zero = splat(0), factor = splat(scale);
        lanes sum = zero;
        for (int64_t i = from; i < to; i += LANES) {
            const lanes v = plus_product(zero, factor, i + LANES <= to ? load(x + i) : load_some(x + i, to - i));
            sum = plus_product(sum, v, v);
        }
        total += sum_lanes(sum);
    }
    return total;
}

int rmsprop_update(const mg_call *call);
int adagrad_update(const mg_call *call);
int lion_update(const mg_call *call);
int clip_value(const mg_call *call);
int average_update(const mg_call *call);
int adafactor_update(const mg_call *call);
int64_t adafactor_workspace(const mg_call *call);
int muon_update(const mg_call *call);
int64_t muon_workspace(const mg_call *call);

#endif
