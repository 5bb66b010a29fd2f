/* White space where no other rule of a pattern applies. */

#ifndef MG_SPACES_H
#define MG_SPACES_H

#include "characters.h"

/* \s+(?!\S)|\s+: the white space that ends at `run` without its last character, which goes to what follows it; all of
   it at the end of the text, and where there is only one character. */
static inline size_t mg_but_the_last(const uint8_t *text, size_t at, size_t run, size_t end)
{
    if (run == end)
        return run;
    size_t last = run - 1;
    while ((text[last] & 0xC0) == 0x80)
        last--;
    return last > at ? last : run;
}

/* \s*[\r\n]+: past the last line break of the white space from `at` to `run`; `at` if it has none. */
static inline size_t mg_past_newlines(const uint8_t *text, size_t at, size_t run)
{
    while (run > at && !mg_newline(text[run - 1]))
        run--;
    return run;
}

#endif
