/* Adafactor: means by row and by column, two root mean squares, and the move. Formula: ../updates/adafactor_update.py. */

#include "kernel.h"

enum { COLUMNS = 64 }; /* whose sums are made side by side */

typedef struct work {
    const mg_call *call;
    float fresh, floor, mean, rate, keep;
    double *squares; /* of each row: of its moves, then of its weights */
} work;

static void row_means(void *job, int64_t first, int64_t last, int worker)
{
    const work *at = job;
    const mg_call *call = at->call;
    const int64_t width = call->array[0].width;
    float *r = FLOATS(5);
    (void)worker;
    for (int64_t i = first; i < last; i++) {
        const float mean = (float)(sum_of_squares(FLOATS(1) + i * width, width, FACTOR) / width);
        r[i] += at->fresh * (mean - r[i]);
    }
}

static void column_means(void *job, int64_t first, int64_t last, int worker)
{
    const work *at = job;
    const mg_call *call = at->call;
    const int64_t width = call->array[0].width, rows = call->array[0].rows;
    const float *grad = FLOATS(1), factor = FACTOR;
    float *c = FLOATS(6);
    (void)worker;
    for (int64_t from = first * COLUMNS; from < last * COLUMNS && from < width; from += COLUMNS) {
        const int64_t n = from + COLUMNS < width ? COLUMNS : width - from;
        double sums[COLUMNS] = {0};
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < n; j++) {
                const double g = factor * grad[i * width + from + j];
                sums[j] += g * g;
            }
        for (int64_t j = 0; j < n; j++)
            c[from + j] += at->fresh * ((float)(sums[j] / rows) - c[from + j]);
    }
}

static inline float size(float share, float c, float floor)
{
    const float v = share * c;
    return sqrtf(v < floor ? floor : v);
}

static void row_squares(void *job, int64_t first, int64_t last, int worker)
{
    const work *at = job;
    const mg_call *call = at->call;
    const int64_t width = call->array[0].width, rows = call->array[0].rows;
    const float *grad = FLOATS(1), *c = FLOATS(6), factor = FACTOR, floor = at->floor;
    (void)worker;
    for (int64_t i = first; i < last; i++) {
        const float share = FLOATS(5)[i] / at->mean;
        double total = 0;
        for (int64_t from = 0; from < width; from += COLUMNS) {
            const int64_t n = from + COLUMNS < width ? COLUMNS : width - from;
            float moves[COLUMNS];
            for (int64_t j = 0; j < n; j++)
                moves[j] = factor * grad[i * width + from + j] / size(share, c[from + j], floor);
            total += sum_of_squares(moves, n, 1);
        }
        at->squares[i] = total;
        at->squares[rows + i] = sum_of_squares(FLOATS(0) + i * width, width, 1);
    }
}

static void move_rows(void *job, int64_t first, int64_t last, int worker)
{
    const work *at = job;
    const mg_call *call = at->call;
    const int64_t width = call->array[0].width;
    const float *c = FLOATS(6), factor = FACTOR, floor = at->floor, keep = at->keep, rate = at->rate;
    (void)worker;
    for (int64_t i = first; i < last; i++) {
        float *w = FLOATS(0) + i * width;
        const float *grad = FLOATS(1) + i * width, share = FLOATS(5)[i] / at->mean;
        for (int64_t j = 0; j < width; j++)
            w[j] = keep * w[j] - rate * (factor * grad[j] / size(share, c[j], floor));
    }
}

static double at_least(double x, double least) { return x < least ? least : x; } /* NaN stays */

int64_t adafactor_workspace(const mg_call *call)
{
    return 2 * call->array[0].rows * (int64_t)sizeof(double);
}

int adafactor_update(const mg_call *call)
{
    const int64_t rows = call->array[0].rows, width = call->array[0].width, n = call->array[0].size;
    const double t = (double)STEP + 1, lr = LR, eps = NUMBER(1);
    if (!isfinite(FACTOR))
        return MG_OK;
    work at = {call, (float)pow(t, -NUMBER(0)), (float)(eps * eps), 0, 0, (float)(1 - lr * NUMBER(4)), call->workspace};
    share(call, rows, n, row_means, &at);
    share(call, (width + COLUMNS - 1) / COLUMNS, n, column_means, &at);
    double sum = 0, moves = 0, weights = 0;
    for (int64_t i = 0; i < rows; i++)
        sum += FLOATS(5)[i];
    at.mean = (float)at_least(sum / rows, eps * eps);
    share(call, rows, n, row_squares, &at);
    for (int64_t i = 0; i < rows; i++) {
        moves += at.squares[i];
        weights += at.squares[rows + i];
    }
    const double most = 1 / sqrt(t), reach = lr < most ? lr : most;
    at.rate = (float)(reach * at_least(sqrt(weights / n), NUMBER(2)) / at_least(sqrt(moves / n) / NUMBER(3), 1));
    share(call, rows, n, move_rows, &at);
    return MG_OK;
}
