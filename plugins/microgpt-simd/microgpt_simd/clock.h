/* A clock that may be looked at between two calls of a plan: the processor's own counter, where it has one that a program
   may read; a few nanoseconds. Its ticks become nanoseconds beside the system's clock, which takes several times as long. */

#ifndef MG_CLOCK_H
#define MG_CLOCK_H

#include <stdint.h>
#include <time.h>
#if defined(__x86_64__) || defined(_M_X64)
#include <x86intrin.h>
#endif

static inline int64_t mg_nanoseconds(void)
{
    struct timespec now;
#if defined(_WIN32)
    timespec_get(&now, TIME_UTC);
#else
    clock_gettime(CLOCK_MONOTONIC, &now);
#endif
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Unfenced: what the processor has begun of the call before may end after it, some ten nanoseconds at most. */
static inline uint64_t mg_ticks(void)
{
#if defined(__x86_64__) || defined(_M_X64)
    return __rdtsc();
#elif defined(__aarch64__)
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#else
    return (uint64_t)mg_nanoseconds();
#endif
}

#endif
