/* The endings of English words that are chunks or ends of chunks: 's 't 're 've 'm 'll 'd. */

#ifndef MG_CONTRACTIONS_H
#define MG_CONTRACTIONS_H

#include <stddef.h>
#include <stdint.h>

/* The bytes of the contraction whose apostrophe is text[at]; 0 if there is none.
   `any_case` also takes 'S and what else folds to it: the long s, U+017F. */
static inline size_t mg_contraction(const uint8_t *text, size_t at, size_t end, int any_case)
{
    if (end - at < 2 || text[at] != '\'')
        return 0;
    const uint8_t fold = any_case ? 0x20 : 0;
    const uint8_t a = text[at + 1] | fold, b = end - at < 3 ? 0 : text[at + 2];
    if (a == 's' || a == 't' || a == 'm' || a == 'd')
        return 2;
    if (any_case && text[at + 1] == 0xC5 && b == 0xBF)
        return 3;
    const int two = (a == 'r' && (b | fold) == 'e') || (a == 'v' && (b | fold) == 'e') || (a == 'l' && (b | fold) == 'l');
    return two ? 3 : 0;
}

#endif
