/* GPT-2's pattern: 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */

#include "scanners.h"
#include "characters.h"
#include "contractions.h"
#include "spaces.h"

size_t mg_scan_gpt2(const uint8_t *text, size_t at, size_t end)
{
    size_t size = mg_contraction(text, at, end, 0);
    if (size)
        return at + size;
    const size_t start = at + (text[at] == ' ');
    if (start < end) {
        const int kind = mg_class(text, start, &size) & (MG_LETTER | MG_NUMBER | MG_OTHER);
        if (kind)
            return mg_run(text, start + size, end, kind);
    }
    return mg_but_the_last(text, at, mg_run(text, at, end, MG_SPACE), end);
}
