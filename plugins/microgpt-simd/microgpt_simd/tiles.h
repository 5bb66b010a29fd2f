/* AMX's tiles are 8 KiB of registers that the system saves only for a process that asks for them. */

#ifndef MG_TILES_H
#define MG_TILES_H

#include <errno.h>

#if defined(__linux__) && defined(__x86_64__)
#include <sys/syscall.h>
#include <unistd.h>

/* 0, or the system's error number. Once is enough: threads have them too, and children (Linux 5.16 and later). */
static inline int mg_ask_for_tiles(void)
{
    enum { ASK = 0x1023, TILE_DATA = 18 }; /* ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA */
    return syscall(SYS_arch_prctl, ASK, TILE_DATA) ? errno : 0;
}
#else
static inline int mg_ask_for_tiles(void) { return ENOSYS; }
#endif

#endif
