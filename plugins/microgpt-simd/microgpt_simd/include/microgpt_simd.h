/* What a native kernel is given, and what it gives back. A kernel is a function

       int mish_forward(const mg_call *call)

   that reads its arguments in the order of the op's own method (outputs, saved values, inputs), writes what that
   method writes, allocates nothing, keeps nothing, and returns MG_OK. Python gets it in a PyCapsule named MG_CAPSULE,
   and a kernel that wants a workspace says how much in a second one, named MG_WORKSPACE_CAPSULE. */

#ifndef MICROGPT_SIMD_H
#define MICROGPT_SIMD_H

#include <stdint.h>

#define MG_ABI 2 /* changes when anything below does; a part of the capsules' names */
#define MG_CAPSULE "microgpt_simd.kernel.2"
#define MG_WORKSPACE_CAPSULE "microgpt_simd.workspace.2"

#define MG_AXES 4

typedef struct mg_array {
    void *data;             /* NULL: an input left out, or a gradient that nobody wants */
    int64_t size;           /* how many numbers there are: rows * width */
    int64_t rows, width;    /* width is the last axis, rows the product of the others */
    int64_t shape[MG_AXES]; /* the first axes; 1 where there are fewer */
    char format;            /* 'f' float32, 'd' float64, 'i' int32, 'H' bfloat16, 'B' bytes */
    char set;               /* 1: write this gradient, 0: add to it. Only gradients that the kernel's `sets` names */
} mg_array;

typedef struct mg_attribute { /* a keyword of the op, both ways */
    double number;            /* 0 for None */
    int64_t integer;
    int given; /* 0: None */
} mg_attribute;

/* A share of some work: items first to last - 1, done by worker 0, 1, ... of the team. */
typedef void (*mg_part)(void *job, int64_t first, int64_t last, int worker);

typedef struct mg_team {
    int threads; /* how many workers there are, the calling thread among them */
    /* Do items 0 to n - 1, cut into `threads` pieces of equal size, and come back when all are done. */
    void (*share)(struct mg_team *team, int64_t n, mg_part part, void *job);
} mg_team;

typedef struct mg_fault { /* what MG_OUT_OF_RANGE is about */
    int argument;         /* which array */
    int64_t at;           /* which of its numbers */
    int64_t found, least, most;
    const char *warning; /* what MG_WARNED is about: text that stays, such as a literal */
} mg_fault;

typedef struct mg_call {
    const mg_array *array;
    const mg_attribute *attribute;
    void *workspace; /* as many bytes as the kernel's workspace function asked for, 64-byte aligned */
    mg_team *team;
    mg_fault *fault;
} mg_call;

/* MG_WARNED: all was done, what follows is done too, and then the user gets a warning. The others end it there. */
enum { MG_OK = 0, MG_OUT_OF_RANGE = 1, MG_FAILED = 2, MG_WARNED = 3 };

typedef int (*mg_kernel)(const mg_call *call);
typedef int64_t (*mg_workspace)(const mg_call *call); /* bytes; the arrays have shapes, but no data yet */

#endif
