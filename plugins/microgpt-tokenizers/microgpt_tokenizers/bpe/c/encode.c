/* A chunk is looked for in a cache, then in the vocabulary, and only then joined byte by byte.

   The cache is a table in which each chunk has one place: who comes later takes it. It holds chunks of 1 to MG_SHORT bytes
   that are few tokens, which is nearly all of a text, and neither grows nor has to be tidied. */

#include "encode.h"

#include <stdlib.h>
#include <string.h>

#include "grow.h"

enum { PLACES = 1 << 15, FEW = 3, KEPT = 1 << 16 };

struct mg_remembered { /* half of a cache line */
    mg_key key;
    uint8_t length, n; /* length is 0 where nothing is remembered */
    uint32_t tokens[FEW];
};

int mg_encoder_init(mg_encoder *encoder, const mg_vocabulary *vocabulary)
{
    memset(encoder, 0, sizeof *encoder);
    encoder->vocabulary = vocabulary;
    encoder->cache = calloc(PLACES, sizeof *encoder->cache);
    return encoder->cache ? 0 : -1;
}

void mg_encoder_free(mg_encoder *encoder)
{
    free(encoder->cache);
    free(encoder->tokens);
    mg_scratch_free(&encoder->scratch);
}

void mg_encoder_clear(mg_encoder *encoder)
{
    encoder->n = 0;
    if (encoder->room > KEPT) {
        free(encoder->tokens);
        encoder->tokens = NULL;
        encoder->room = 0;
    }
    if (encoder->scratch.room_for_ranks > KEPT) {
        mg_scratch_free(&encoder->scratch);
        encoder->scratch = (mg_scratch){0};
    }
}

/* Room for the tokens of `n` bytes, and for FEW that are copied without a count. */
static int make_room(mg_encoder *encoder, size_t n)
{
    if (encoder->room - encoder->n >= n + FEW)
        return 0;
    uint32_t *tokens = mg_grown(encoder->tokens, &encoder->room, encoder->n + n + FEW, sizeof *tokens);
    if (!tokens)
        return -1;
    encoder->tokens = tokens;
    return 0;
}

/* The tokens of a chunk at `tokens`, how many they are; 0 without memory. */
static size_t find(mg_encoder *encoder, const uint8_t *chunk, size_t n, uint32_t *tokens)
{
    const mg_vocabulary *vocabulary = encoder->vocabulary;
    const uint32_t token = mg_byte_table_find(&vocabulary->tokens, chunk, n);
    if (token == MG_NOBODY || !vocabulary->whole[token])
        return mg_merge(vocabulary, &encoder->scratch, chunk, n, tokens);
    tokens[0] = token;
    return 1;
}

static inline int encode_chunk(mg_encoder *encoder, const uint8_t *chunk, size_t n)
{
    if (make_room(encoder, n))
        return -1;
    uint32_t *tokens = encoder->tokens + encoder->n;
    if (n > MG_SHORT) {
        const size_t found = find(encoder, chunk, n, tokens);
        encoder->n += found;
        return found ? 0 : -1;
    }
    const mg_key key = mg_key_of(chunk, n);
    mg_remembered *place = encoder->cache + (mg_hash_key(key, n) >> 32 & (PLACES - 1));
    if (place->key.low == key.low && place->key.high == key.high && place->length == n) {
        memcpy(tokens, place->tokens, sizeof place->tokens);
        encoder->n += place->n;
        return 0;
    }
    const size_t found = find(encoder, chunk, n, tokens); /* no chunk that is so short needs memory */
    encoder->n += found;
    if (found <= FEW) {
        *place = (mg_remembered){key, (uint8_t)n, (uint8_t)found, {0}};
        memcpy(place->tokens, tokens, found * sizeof *tokens);
    }
    return 0;
}

int mg_encode_chunk(mg_encoder *encoder, const uint8_t *chunk, size_t n)
{
    return n ? encode_chunk(encoder, chunk, n) : 0;
}

size_t mg_encode(mg_encoder *encoder, mg_scanner scan, const uint8_t *text, size_t at, size_t stop, size_t end)
{
    while (at < stop) {
        const size_t past = scan(text, at, end);
        if (encode_chunk(encoder, text + at, past - at))
            return SIZE_MAX;
        at = past;
    }
    return at;
}
