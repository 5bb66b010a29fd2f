/* What the processor can do (CPUID) with registers that the operating system saves when it gives the core to another
   thread (XGETBV): a feature needs both. By hand, since the compilers' own test for it isn't linked in by clang-cl. */

#ifndef MG_CPU_H
#define MG_CPU_H

#include <stdint.h>

typedef struct mg_cpu { /* what the instructions answer */
    uint32_t leaf1_ecx, leaf7_ebx, leaf7_edx, leaf7_1_eax;
    uint64_t saved; /* the register XCR0: which kinds of registers are saved */
} mg_cpu;

enum { MG_YMM = 0x6, MG_ZMM = 0xe6, MG_TILES = 0x60000 }; /* 256 bits of a vector; 512, and masks; matrix tiles */

/* The i-th feature's name if the processor has it, "" if it hasn't, NULL beyond the last. */
static inline const char *mg_feature_of(const mg_cpu *cpu, int i)
{
    const struct {
        const char *name;
        uint32_t word;
        int bit;
        uint64_t needs;
    } features[] = {
        {"avx2", cpu->leaf7_ebx, 5, MG_YMM},
        {"fma", cpu->leaf1_ecx, 12, MG_YMM},
        {"avx512f", cpu->leaf7_ebx, 16, MG_ZMM},
        {"avx512bw", cpu->leaf7_ebx, 30, MG_ZMM},
        {"avx512vl", cpu->leaf7_ebx, 31, MG_ZMM},
        {"avx512dq", cpu->leaf7_ebx, 17, MG_ZMM},
        {"avx512bf16", cpu->leaf7_1_eax, 5, MG_ZMM},
        {"amx-tile", cpu->leaf7_edx, 24, MG_TILES},
        {"amx-bf16", cpu->leaf7_edx, 22, MG_TILES},
    };
    if (i >= (int)(sizeof features / sizeof *features))
        return 0;
    const int able = features[i].word >> features[i].bit & 1;
    const int saved = (cpu->saved & features[i].needs) == features[i].needs;
    return able && saved ? features[i].name : "";
}

#if defined(__x86_64__) || defined(_M_X64)
#include <cpuid.h>

static inline mg_cpu mg_this_cpu(void)
{
    enum { OSXSAVE = 1 << 27 }; /* of leaf 1: the system saves registers, and XGETBV says which */
    mg_cpu cpu = {0};
    uint32_t a, b, c, d, low, high;
    if (!__get_cpuid(1, &a, &b, &cpu.leaf1_ecx, &d) || !(cpu.leaf1_ecx & OSXSAVE))
        return cpu;
    if (__get_cpuid_count(7, 0, &a, &cpu.leaf7_ebx, &c, &cpu.leaf7_edx) && a > 0)
        __get_cpuid_count(7, 1, &cpu.leaf7_1_eax, &b, &c, &d);
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    cpu.saved = (uint64_t)high << 32 | low;
#if defined(__APPLE__) /* saves 512 bits from a thread's first use of them on, and doesn't say so before */
    if ((cpu.saved & MG_YMM) == MG_YMM)
        cpu.saved |= MG_ZMM;
#endif
    return cpu;
}
#else
static inline mg_cpu mg_this_cpu(void) { return (mg_cpu){0}; }
#endif

/* The same of this processor. It is asked once: a virtual machine takes tens of microseconds for each answer. */
static inline const char *mg_cpu_feature(int i)
{
    static mg_cpu cpu;
    static int asked;
    if (!asked)
        cpu = mg_this_cpu();
    asked = 1;
    return mg_feature_of(&cpu, i);
}

#endif
