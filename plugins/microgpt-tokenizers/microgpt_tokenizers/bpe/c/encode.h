/* Texts to tokens: chunk by chunk, the common ones from a cache. Each thread has an encoder of its own. */

#ifndef MG_ENCODE_H
#define MG_ENCODE_H

#include "hash.h"
#include "merge.h"
#include "scanners.h"

typedef struct mg_remembered mg_remembered;

typedef struct {
    const mg_vocabulary *vocabulary;
    mg_remembered *cache;
    mg_scratch scratch;
    uint32_t *tokens; /* what was found so far */
    uint64_t n, room;
} mg_encoder;

int mg_encoder_init(mg_encoder *encoder, const mg_vocabulary *vocabulary); /* 0, or -1; then free it all the same */
void mg_encoder_free(mg_encoder *encoder);

void mg_encoder_clear(mg_encoder *encoder); /* begin anew, without the memory that a long text needed */

int mg_encode_chunk(mg_encoder *encoder, const uint8_t *chunk, size_t n); /* 0, or -1 without memory */

/* The chunks from `at` on until `stop` or a little further. Returns where it stopped, SIZE_MAX without memory. */
size_t mg_encode(mg_encoder *encoder, mg_scanner scan, const uint8_t *text, size_t at, size_t stop, size_t end);

#endif
