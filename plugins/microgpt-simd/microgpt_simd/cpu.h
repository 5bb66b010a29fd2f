/* What the processor can do and the operating system lets it do (CPUID, and XGETBV for the wide registers). */

#ifndef MG_CPU_H
#define MG_CPU_H

#if defined(__x86_64__) || defined(_M_X64)
#define MG_CPU_FEATURES(HAS) \
    HAS("avx2") HAS("fma") HAS("avx512f") HAS("avx512bw") HAS("avx512vl") HAS("avx512dq") HAS("avx512bf16")
#else
#define MG_CPU_FEATURES(HAS)
#endif

/* The i-th feature's name if the processor has it, "" if it hasn't, NULL beyond the last. */
static inline const char *mg_cpu_feature(int i)
{
#if defined(__x86_64__) || defined(_M_X64)
    __builtin_cpu_init();
#endif
#define HAS(name) \
    if (i-- == 0) \
        return __builtin_cpu_supports(name) ? name : "";
    MG_CPU_FEATURES(HAS)
#undef HAS
    return 0;
}

#endif
