/* The pattern of o200k, piece by piece. Unlike cl100k's it parts words where lower case turns to upper case, keeps
   contractions with their word and slashes with line breaks. */

#include "scanners.h"
#include "characters.h"
#include "contractions.h"
#include "spaces.h"

/* A word without what may stand before and after it, as two alternatives of which the first that fits counts:
   [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+ and [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*

   What has upper case is followed by something in lower case, or else given back up to the last character that goes
   with both; only if there is no such, the second alternative takes the upper case alone. Returns `at` if there is none. */
static size_t word(const uint8_t *text, size_t at, size_t end)
{
    size_t size, upper = at, both = at;
    uint8_t found = 0;
    while (upper < end && ((found = mg_class(text, upper, &size)) & (MG_UPPER | MG_BOTH))) {
        upper += size;
        if (found & MG_BOTH)
            both = upper;
    }
    if (upper < end && (found & MG_LOWER))
        return mg_run(text, upper, end, MG_LOWER | MG_BOTH);
    return both > at ? both : upper;
}

size_t mg_scan_o200k(const uint8_t *text, size_t at, size_t end)
{
    size_t size;
    const uint8_t first = mg_class(text, at, &size);
    if (first & MG_NUMBER) /* \p{N}{1,3} */
        return mg_few_numbers(text, at, end);

    /* [^\r\n\p{L}\p{N}]? before a word; a mark is part of the word itself. */
    const int before = !(first & (MG_LETTER | MG_BOTH)) && !mg_newline(text[at]);
    const size_t begin = before ? at + size : at, past = word(text, begin, end);
    if (past > begin) /* (?i:'s|'t|'re|'ve|'m|'ll|'d)? */
        return past + mg_contraction(text, past, end, 1);

    const size_t start = at + (text[at] == ' ');
    if (start < end && (mg_class(text, start, &size) & MG_OTHER)) { /*  ?[^\s\p{L}\p{N}]+[\r\n/]* */
        size_t after = mg_run(text, start + size, end, MG_OTHER);
        while (after < end && (mg_newline(text[after]) || text[after] == '/'))
            after++;
        return after;
    }

    const size_t run = mg_run(text, at, end, MG_SPACE);
    const size_t lines = mg_past_newlines(text, at, run); /* \s*[\r\n]+|\s+(?!\S)|\s+ */
    return lines > at ? lines : mg_but_the_last(text, at, run, end);
}
