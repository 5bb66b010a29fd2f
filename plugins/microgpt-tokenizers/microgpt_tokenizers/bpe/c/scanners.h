/* Scanners: where the chunk that begins at text[at] ends, by the patterns of three well-known vocabularies.

   The patterns themselves are in splitting.py. No scanner goes back: what it looks at twice is bounded by the chunk. */

#ifndef MG_SCANNERS_H
#define MG_SCANNERS_H

#include <stddef.h>
#include <stdint.h>

/* `text` is valid UTF-8 up to `end`, and `at` < `end`; so is what is returned. It depends on the text up to `end`. */
typedef size_t (*mg_scanner)(const uint8_t *text, size_t at, size_t end);

size_t mg_scan_gpt2(const uint8_t *text, size_t at, size_t end);
size_t mg_scan_cl100k(const uint8_t *text, size_t at, size_t end);
size_t mg_scan_o200k(const uint8_t *text, size_t at, size_t end);

#endif
