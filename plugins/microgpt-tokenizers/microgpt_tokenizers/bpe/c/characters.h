/* Characters of UTF-8 text that is known to be valid, and what kind each is. The tables are in classes.c. */

#ifndef MG_CHARACTERS_H
#define MG_CHARACTERS_H

#include <stddef.h>
#include <stdint.h>

/* The bits of a character's class. The first four tell it from the others: each character has one of them. */
enum {
    MG_LETTER = 1,
    MG_NUMBER = 2,
    MG_SPACE = 4,
    MG_OTHER = 8,
    MG_UPPER = 16, /* an upper-case or a title-case letter */
    MG_LOWER = 32,
    MG_BOTH = 64, /* a letter without a case, a modifier or a mark: it goes with upper case and with lower case */
};

extern const uint8_t MG_PAGES[];         /* the page of each 128 code points; of ASCII it is 0 */
extern const uint8_t MG_CLASSES[][128];

/* The class of the character at text[at], and how many bytes it has. */
static inline uint8_t mg_class(const uint8_t *text, size_t at, size_t *size)
{
    const uint8_t *c = text + at;
    uint32_t point;
    if (c[0] < 0x80) {
        *size = 1;
        return MG_CLASSES[0][c[0]];
    }
    if (c[0] < 0xE0) {
        *size = 2;
        point = (uint32_t)(c[0] & 0x1F) << 6 | (c[1] & 0x3F);
    } else if (c[0] < 0xF0) {
        *size = 3;
        point = (uint32_t)(c[0] & 0x0F) << 12 | (uint32_t)(c[1] & 0x3F) << 6 | (c[2] & 0x3F);
    } else {
        *size = 4;
        point = (uint32_t)(c[0] & 0x07) << 18 | (uint32_t)(c[1] & 0x3F) << 12 | (uint32_t)(c[2] & 0x3F) << 6 |
                (c[3] & 0x3F);
    }
    return MG_CLASSES[MG_PAGES[point >> 7]][point & 127];
}

/* Past the characters, from `at` on, whose class has one of the bits of `wanted`. */
static inline size_t mg_run(const uint8_t *text, size_t at, size_t end, int wanted)
{
    size_t size;
    while (at < end && (mg_class(text, at, &size) & wanted))
        at += size;
    return at;
}

/* Past the numbers from `at` on, three of them at most. */
static inline size_t mg_few_numbers(const uint8_t *text, size_t at, size_t end)
{
    size_t size;
    for (int n = 0; n < 3 && at < end && (mg_class(text, at, &size) & MG_NUMBER); n++)
        at += size;
    return at;
}

static inline int mg_newline(uint8_t c) { return c == '\n' || c == '\r'; }

#endif
