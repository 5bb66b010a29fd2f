/* Bytes as a number: two for short ones, which together with the length are the bytes themselves, and a hash of any. */

#ifndef MG_HASH_H
#define MG_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { MG_SHORT = 16 }; /* bytes at most of what has a key */

typedef struct {
    uint64_t low, high;
} mg_key;

static inline uint64_t mg_load64(const uint8_t *at)
{
    uint64_t x;
    memcpy(&x, at, sizeof x);
    return x;
}

static inline uint32_t mg_load32(const uint8_t *at)
{
    uint32_t x;
    memcpy(&x, at, sizeof x);
    return x;
}

/* Of 1 to MG_SHORT bytes: their first and their last ones, which overlap or meet. Nothing beyond them is read. */
static inline mg_key mg_key_of(const uint8_t *bytes, size_t n)
{
    if (n >= 8)
        return (mg_key){mg_load64(bytes), mg_load64(bytes + n - 8)};
    if (n >= 4)
        return (mg_key){mg_load32(bytes), mg_load32(bytes + n - 4)};
    return (mg_key){bytes[0] | (uint64_t)bytes[n >> 1] << 8 | (uint64_t)bytes[n - 1] << 16, 0};
}

static inline uint64_t mg_mixed(uint64_t x)
{
    x ^= x >> 32;
    x *= 0x9E3779B97F4A7C15u;
    return x ^ x >> 29;
}

static inline uint64_t mg_hash_key(mg_key key, size_t n)
{
    return mg_mixed(mg_mixed(key.low + n) * 0xD6E8FEB86659FD93u + key.high);
}

/* Of any bytes; of short ones it is the hash of their key. */
static inline uint64_t mg_hash(const uint8_t *bytes, size_t n)
{
    if (n <= MG_SHORT)
        return n ? mg_hash_key(mg_key_of(bytes, n), n) : 0;
    uint64_t hash = n;
    size_t at = 0;
    for (; at + 8 < n; at += 8)
        hash = mg_mixed(hash * 0xD6E8FEB86659FD93u + mg_load64(bytes + at));
    return mg_mixed(hash * 0xD6E8FEB86659FD93u + mg_load64(bytes + n - 8));
}

#endif
