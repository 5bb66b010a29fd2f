/* The team: threads that are made once and then wait for work.

   A piece of work is handed over by counting up `round`; workers look at it for a while before they go to sleep, so that
   one call's work follows another's without asking the system. After a fork the child has no workers: they are made anew
   when it first shares something. */

#define _POSIX_C_SOURCE 200809L /* signal masks, under -std=c11 */

#include "team.h"

#include <stdatomic.h>
#include <stdlib.h>

#if defined(_WIN32)
#include <process.h>
#include <windows.h>
typedef HANDLE thread;
typedef SRWLOCK mutex;
typedef CONDITION_VARIABLE condition;
#define mutex_init(m) InitializeSRWLock(m)
#define mutex_lock(m) AcquireSRWLockExclusive(m)
#define mutex_unlock(m) ReleaseSRWLockExclusive(m)
#define condition_init(c) InitializeConditionVariable(c)
#define condition_wait(c, m) SleepConditionVariableSRW(c, m, INFINITE, 0)
#define condition_wake_all(c) WakeAllConditionVariable(c)
#define process_id() ((long)GetCurrentProcessId())
#define WORKER unsigned __stdcall
#else
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>
typedef pthread_t thread;
typedef pthread_mutex_t mutex;
typedef pthread_cond_t condition;
#define mutex_init(m) pthread_mutex_init(m, NULL)
#define mutex_lock(m) pthread_mutex_lock(m)
#define mutex_unlock(m) pthread_mutex_unlock(m)
#define condition_init(c) pthread_cond_init(c, NULL)
#define condition_wait(c, m) pthread_cond_wait(c, m)
#define condition_wake_all(c) pthread_cond_broadcast(c)
#define process_id() ((long)getpid())
#define WORKER void *
#endif

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#define breathe() _mm_pause()
#else
#define breathe() ((void)0)
#endif

enum { LOOKS = 20000 }; /* some 0.2 ms: longer than what lies between two calls of a step, shorter than anybody minds */

typedef struct worker {
    struct team *team;
    int number;
    thread handle;
} worker;

typedef struct team {
    mg_team face;
    worker *workers; /* number 0 is whoever shares */
    mutex lock;
    condition wake;
    atomic_uint_fast64_t round; /* of work handed over */
    atomic_int busy, asleep, ending;
    mg_part part;
    void *job;
    int64_t items;
    long process; /* that the workers live in */
    atomic_long taken; /* the process in which a thread shares something at the moment; 0: nobody */
} team;

static void do_piece(team *t, int number)
{
    const int64_t n = t->items, count = t->face.threads, share = n / count, rest = n % count;
    const int64_t first = number * share + (number < rest ? number : rest), last = first + share + (number < rest);
    if (first < last)
        t->part(t->job, first, last, number);
}

static WORKER work(void *given)
{
    worker *me = given;
    team *t = me->team;
    mg_flush_denormals();
    for (uint64_t seen = 0;;) {
        for (int look = 0; look < LOOKS && atomic_load(&t->round) == seen; look++)
            breathe();
        if (atomic_load(&t->round) == seen) {
            mutex_lock(&t->lock);
            atomic_fetch_add(&t->asleep, 1);
            while (atomic_load(&t->round) == seen)
                condition_wait(&t->wake, &t->lock);
            atomic_fetch_sub(&t->asleep, 1);
            mutex_unlock(&t->lock);
        }
        seen++;
        if (atomic_load(&t->ending))
            return 0;
        do_piece(t, me->number);
        atomic_fetch_sub(&t->busy, 1);
    }
}

static void hand_over(team *t)
{
    atomic_fetch_add(&t->round, 1);
    if (atomic_load(&t->asleep)) {
        mutex_lock(&t->lock);
        condition_wake_all(&t->wake);
        mutex_unlock(&t->lock);
    }
}

/* Workers take no signals (they inherit what is blocked), so that Ctrl-C wakes the interpreter's own thread. What a
   thread does to itself stays: it ends the process, with a trace where Python's faulthandler is on. */
static int start(worker *w)
{
#if defined(_WIN32)
    w->handle = (HANDLE)_beginthreadex(NULL, 0, work, w, 0, NULL);
    return w->handle != 0;
#else
    const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    sigset_t blocked, before;
    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        sigdelset(&blocked, own[i]);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    const int failed = pthread_create(&w->handle, NULL, work, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return !failed;
#endif
}

/* Make the workers, in this process. */
static void begin(team *t)
{
    mutex_init(&t->lock);
    condition_init(&t->wake);
    atomic_store(&t->round, 0);
    atomic_store(&t->busy, 0);
    atomic_store(&t->asleep, 0);
    atomic_store(&t->ending, 0);
    t->process = process_id();
    for (int i = 1; i < t->face.threads; i++) {
        t->workers[i] = (worker){.team = t, .number = i};
        if (!start(&t->workers[i])) {
            t->face.threads = i; /* the system has no more: the pieces get larger */
            return;
        }
    }
}

static void share(mg_team *face, int64_t n, mg_part part, void *job)
{
    team *t = (team *)face;
    const long me = process_id();
    long owner = atomic_load(&t->taken); /* of another process: one that forked while it shared */
    if (owner == me || !atomic_compare_exchange_strong(&t->taken, &owner, me)) {
        part(job, 0, n, 0); /* another thread has the team: the same bits, done alone */
        return;
    }
    if (t->process != me)
        begin(t);
    t->part = part;
    t->job = job;
    t->items = n;
    atomic_store(&t->busy, face->threads - 1);
    hand_over(t);
    do_piece(t, 0);
    for (int look = 0; atomic_load(&t->busy); look++)
        if (look < LOOKS)
            breathe();
        else { /* a worker has no core at the moment: let it have this one */
#if defined(_WIN32)
            SwitchToThread();
#else
            sched_yield();
#endif
        }
    atomic_store(&t->taken, 0);
}

static void alone(mg_team *face, int64_t n, mg_part part, void *job)
{
    (void)face;
    part(job, 0, n, 0);
}

mg_team *mg_make_team(int threads)
{
    team *t = calloc(1, sizeof *t);
    if (t && threads > 1)
        t->workers = calloc((size_t)threads, sizeof *t->workers);
    if (!t || (threads > 1 && !t->workers)) {
        free(t);
        return NULL;
    }
    t->face = (mg_team){threads > 1 ? threads : 1, threads > 1 ? share : alone};
    if (threads > 1)
        begin(t);
    return &t->face;
}

void mg_end_team(mg_team *face)
{
    team *t = (team *)face;
    if (t->workers && t->process == process_id()) {
        atomic_store(&t->ending, 1);
        hand_over(t);
        for (int i = 1; i < face->threads; i++) {
#if defined(_WIN32)
            WaitForSingleObject(t->workers[i].handle, INFINITE);
            CloseHandle(t->workers[i].handle);
#else
            pthread_join(t->workers[i].handle, NULL);
#endif
        }
    }
    free(t->workers);
    free(t);
}

#if defined(__x86_64__) || defined(_M_X64)
enum { FLUSH = 0x8040 }; /* results to 0, operands taken for 0 */
uint64_t mg_flush_denormals(void)
{
    const unsigned before = _mm_getcsr();
    _mm_setcsr(before | FLUSH);
    return before;
}
void mg_restore_denormals(uint64_t before) { _mm_setcsr((unsigned)before); }
#elif defined(__aarch64__)
uint64_t mg_flush_denormals(void)
{
    uint64_t before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" ::"r"(before | (1u << 24)));
    return before;
}
void mg_restore_denormals(uint64_t before) { __asm__ volatile("msr fpcr, %0" ::"r"(before)); }
#else
uint64_t mg_flush_denormals(void) { return 0; }
void mg_restore_denormals(uint64_t before) { (void)before; }
#endif
