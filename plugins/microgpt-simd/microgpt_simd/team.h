/* The team: threads that are made once and then wait for work. See team.c. */

#ifndef MG_TEAM_H
#define MG_TEAM_H

#include "include/microgpt_simd.h"

mg_team *mg_make_team(int threads); /* NULL where there is no memory; fewer threads where the system has no more */
void mg_end_team(mg_team *team);

/* Numbers too small for a normal float are taken for 0 between these two: they would make a step many times slower. */
uint64_t mg_flush_denormals(void);
void mg_restore_denormals(uint64_t before);

#endif
