/* The pattern of cl100k, piece by piece. Unlike GPT-2's it keeps at most three digits together, takes any sign before a
   word into its chunk, and white space at the end of the text as one chunk. */

#include "scanners.h"
#include "characters.h"
#include "contractions.h"
#include "spaces.h"

size_t mg_scan_cl100k(const uint8_t *text, size_t at, size_t end)
{
    size_t size = mg_contraction(text, at, end, 1), next;
    if (size) /* '(?i:[sdmt]|ll|ve|re) */
        return at + size;

    const uint8_t first = mg_class(text, at, &size);
    if (first & MG_LETTER) /* [^\r\n\p{L}\p{N}]?+\p{L}++ */
        return mg_run(text, at + size, end, MG_LETTER);
    if (first & MG_NUMBER) /* \p{N}{1,3}+ */
        return mg_few_numbers(text, at, end);
    if (!mg_newline(text[at]) && at + size < end && (mg_class(text, at + size, &next) & MG_LETTER))
        return mg_run(text, at + size + next, end, MG_LETTER);

    const size_t start = at + (text[at] == ' ');
    if (start < end && (mg_class(text, start, &size) & MG_OTHER)) { /*  ?[^\s\p{L}\p{N}]++[\r\n]*+ */
        size_t past = mg_run(text, start + size, end, MG_OTHER);
        while (past < end && mg_newline(text[past]))
            past++;
        return past;
    }

    const size_t run = mg_run(text, at, end, MG_SPACE);
    if (run == end) /* \s++$ */
        return run;
    const size_t lines = mg_past_newlines(text, at, run); /* \s*[\r\n]|\s+(?!\S)|\s */
    return lines > at ? lines : mg_but_the_last(text, at, run, end);
}
