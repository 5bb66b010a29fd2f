/* Causal self-attention, the same as the reference:

       p_ts = exp(a q_t . k_s - lse_t)     out_t = sum_s p_ts v_s     lse_t = log sum_s exp(a q_t . k_s)

   Read attention_tiles.c first: any queries and any keys. attention_near.c has those that see few keys, attention_one.c a
   sequence's only query, and attention_bfloat16.c is by tiles once more, for `precision: bfloat16`. */

#include "functions.h"
#include "product.h"
#include "side.h"

#include "attention.h"
#include "attention_tiles.c"
#include "attention_near.c"
#include "attention_one.c"

static int64_t attention_forward_workspace(const mg_call *call)
{
    const sight s = look(call, 2);
    const int64_t of_many = tiles_forward_scratch(&s) + near_forward_scratch(&s);
    return call->team->threads * (s.length == 1 ? one_scratch(&s) : of_many) * (int64_t)sizeof(float);
}

static int attention_forward(const mg_call *call)
{
    const sight s = look(call, 2);
    const int code = check_sight(call, 2, &s);
    const int64_t work = s.length * s.room * s.width / 4; /* of a head */
    if (code)
        return code;
    if (s.length == 1)
        share_rows(call, s.batch * s.n_head, work, one_part);
    else if (may_be_near(&s))
        share_rows(call, s.batch * near_blocks(&s), work, near_forward_part);
    else
        share_rows(call, s.batch * s.n_head, work, tiles_forward_part);
    return MG_OK;
}

static int64_t attention_backward_workspace(const mg_call *call)
{
    const sight s = look(call, 6);
    return call->team->threads * (tiles_backward_scratch(&s) + near_backward_scratch(&s)) * (int64_t)sizeof(float);
}

static int attention_backward(const mg_call *call)
{
    const sight s = look(call, 6);
    const int code = check_sight(call, 6, &s);
    const int64_t work = s.length * s.room * s.width / 2;
    if (code)
        return code;
    if (may_be_near(&s)) {
        share_rows(call, s.batch * near_blocks(&s), work, near_backward_part);
        return MG_OK;
    }
    for (int i = 1; i < 3; i++)
        if (FLOATS(i) && call->array[i].set)
            memset(FLOATS(i), 0, (size_t)call->array[i].size * sizeof(float));
    share_rows(call, s.batch * s.n_kv_head, work, tiles_backward_part);
    return MG_OK;
}
