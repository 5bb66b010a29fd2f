/* Work shared by the team, and arguments by name. */

#ifndef MG_SHARE_H
#define MG_SHARE_H

#include "../include/microgpt_simd.h"

/* Share n items, of which fewer than `least` aren't worth a second worker. */
static inline void share(const mg_call *call, int64_t n, int64_t least, mg_part part, void *job)
{
    if (n < least || call->team->threads < 2)
        part(job, 0, n, 0);
    else
        call->team->share(call->team, n, part, job);
}

static inline int out_of_range(const mg_call *call, int argument, int64_t at, int64_t found, int64_t least, int64_t most)
{
    *call->fault = (mg_fault){argument, at, found, least, most};
    return MG_OUT_OF_RANGE;
}

static inline int warned(const mg_call *call, const char *text)
{
    call->fault->warning = text;
    return MG_WARNED;
}

#endif
