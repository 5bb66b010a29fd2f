/* Where everything is. A place is a byte of the chunks, which stand in a row with an EDGE around each. A token's number
   is at its first place and at its last one, and what lies between is INSIDE. So of a token that begins somewhere the
   one after it is a step of its length ahead, and of the one before it the last place is right behind. */

#include "trainer.h"

#include <stdlib.h>
#include <string.h>

#include "grow.h"

#define EDGE UINT32_MAX
#define INSIDE (UINT32_MAX - 1)

/* Have room in trainer->ARRAY, whose room is trainer->ROOM; 0 without memory. */
#define MAKE_ROOM(trainer, ARRAY, ROOM, wanted) \
    (make_room((void **)&(trainer)->ARRAY, &(trainer)->ROOM, (wanted), sizeof *(trainer)->ARRAY))

static int make_room(void **array, uint64_t *room, uint64_t wanted, size_t size)
{
    void *grown = mg_grown(*array, room, wanted, size);
    if (grown)
        *array = grown;
    return grown != NULL;
}

/* Tokens */

static int add_token(mg_trainer *trainer, const uint8_t *bytes, uint32_t length)
{
    const uint64_t n = trainer->n_tokens + 1;
    if (!MAKE_ROOM(trainer, tokens, room_for_tokens, n))
        return MG_WITHOUT_MEMORY;
    const uint64_t before = trainer->room_for_beside;
    if (!MAKE_ROOM(trainer, beside, room_for_beside, 2 * n))
        return MG_WITHOUT_MEMORY;
    memset(trainer->beside + before, 0, (trainer->room_for_beside - before) * sizeof *trainer->beside);
    uint64_t first = 0;
    for (uint32_t i = 0; i < 8; i++)
        first = first << 8 | (i < length ? bytes[i] : 0);
    trainer->tokens[trainer->n_tokens++] = (mg_token){bytes, length, first};
    return 0;
}

/* Below 0 where a's bytes come before b's, above where they come after, 0 where they are the same. */
static int compare(const mg_token *a, const mg_token *b)
{
    if (a->first_bytes != b->first_bytes)
        return a->first_bytes < b->first_bytes ? -1 : 1;
    const int order = memcmp(a->bytes, b->bytes, a->length < b->length ? a->length : b->length);
    return order ? order : (a->length > b->length) - (a->length < b->length);
}

/* The heap of candidates: the commonest on top, of equals the one whose bytes come first. */

static int goes_before(const mg_trainer *trainer, mg_candidate a, mg_candidate b)
{
    if (a.count != b.count)
        return a.count > b.count;
    const mg_pair *x = trainer->pairs + a.pair, *y = trainer->pairs + b.pair;
    const int left = x->left == y->left ? 0 : compare(trainer->tokens + x->left, trainer->tokens + y->left);
    return (left ? left : compare(trainer->tokens + x->right, trainer->tokens + y->right)) < 0;
}

static void sink(mg_trainer *trainer, uint64_t i)
{
    mg_candidate *heap = trainer->heap;
    const mg_candidate item = heap[i];
    for (uint64_t child; (child = 2 * i + 1) < trainer->n_heap; i = child) {
        child += child + 1 < trainer->n_heap && goes_before(trainer, heap[child + 1], heap[child]);
        if (!goes_before(trainer, heap[child], item))
            break;
        heap[i] = heap[child];
    }
    heap[i] = item;
}

static int push(mg_trainer *trainer, mg_candidate item)
{
    if (!MAKE_ROOM(trainer, heap, room_for_heap, trainer->n_heap + 1))
        return MG_WITHOUT_MEMORY;
    uint64_t i = trainer->n_heap++;
    for (uint64_t parent; i && goes_before(trainer, item, trainer->heap[parent = (i - 1) / 2]); i = parent)
        trainer->heap[i] = trainer->heap[parent];
    trainer->heap[i] = item;
    return 0;
}

/* The commonest pair, taken off the heap; MG_NOBODY where none comes often enough any more.

   A pair of two old tokens only becomes rarer. So who comes up with a count that is too high takes its new turn. */
static uint32_t commonest(mg_trainer *trainer)
{
    while (trainer->n_heap) {
        mg_candidate *top = trainer->heap;
        const int64_t count = trainer->pairs[top->pair].count;
        const uint32_t pair = top->pair;
        const int true_count = count == top->count;
        top->count = count;
        if (true_count || count < trainer->least)
            *top = trainer->heap[--trainer->n_heap];
        if (trainer->n_heap)
            sink(trainer, 0);
        if (true_count)
            return pair;
    }
    return MG_NOBODY;
}

/* Pairs that are new */

static int add_pair(mg_trainer *trainer, uint32_t left, uint32_t right, const mg_beside *found)
{
    if (trainer->n_pairs >= UINT32_MAX - 1 || !MAKE_ROOM(trainer, pairs, room_for_pairs, trainer->n_pairs + 1))
        return MG_WITHOUT_MEMORY;
    const uint32_t number = (uint32_t)trainer->n_pairs++;
    trainer->pairs[number] = (mg_pair){left, right, found->count, found->first, found->n_places};
    if (mg_pair_table_set(&trainer->numbers, left, right, number))
        return MG_WITHOUT_MEMORY;
    return push(trainer, (mg_candidate){found->count, number});
}

/* A chunk's count for a pair at a place: of the new token and the one that `beside` says. */
static void gain(mg_trainer *trainer, uint32_t beside, uint32_t place, int64_t count)
{
    mg_beside *found = trainer->beside + beside;
    if (!found->n_places++)
        trainer->touched[trainer->n_touched++] = beside;
    found->count += count;
    trainer->appeared[trainer->n_appeared++] = (mg_appeared){place, beside};
}

static void lose(mg_trainer *trainer, uint32_t left, uint32_t right, uint32_t new_token, int64_t count)
{
    if (left == new_token) { /* "abab": what has just been put before the second is joined itself */
        trainer->beside[2 * right + 1].count -= count;
        return;
    }
    const uint32_t pair = mg_pair_find(&trainer->numbers, left, right);
    if (pair != MG_NOBODY) /* or it's too rare to be known */
        trainer->pairs[pair].count -= count;
}

/* Put the new pairs that come often enough with the others, and forget the rest: none of them becomes more. */
static int keep_common(mg_trainer *trainer, uint32_t new_token)
{
    if (!MAKE_ROOM(trainer, places, room_for_places, trainer->n_places + trainer->n_appeared))
        return MG_WITHOUT_MEMORY;
    for (uint64_t i = 0; i < trainer->n_touched; i++) {
        const uint32_t beside = trainer->touched[i];
        mg_beside *found = trainer->beside + beside;
        if (found->count < trainer->least)
            continue;
        found->first = trainer->n_places;
        trainer->n_places += found->n_places;
        const uint32_t left = beside & 1 ? new_token : beside >> 1, right = beside & 1 ? beside >> 1 : new_token;
        if (add_pair(trainer, left, right, found))
            return MG_WITHOUT_MEMORY;
    }
    for (uint64_t i = 0; i < trainer->n_appeared; i++) {
        mg_beside *found = trainer->beside + trainer->appeared[i].beside;
        if (found->count >= trainer->least)
            trainer->places[found->first++] = trainer->appeared[i].place;
    }
    for (uint64_t i = 0; i < trainer->n_touched; i++)
        trainer->beside[trainer->touched[i]] = (mg_beside){0, 0, 0};
    trainer->n_touched = trainer->n_appeared = 0;
    return 0;
}

/* The first pairs, of bytes */

static int lay_out(mg_trainer *trainer)
{
    const mg_byte_table *chunks = &trainer->counter->chunks;
    const uint64_t n = chunks->n_bytes + chunks->n + 1;
    if (n >= INSIDE)
        return MG_TOO_MUCH;
    trainer->symbols = malloc((size_t)n * sizeof *trainer->symbols);
    trainer->chunk_at = malloc((size_t)n * sizeof *trainer->chunk_at);
    if (!trainer->symbols || !trainer->chunk_at)
        return MG_WITHOUT_MEMORY;
    uint64_t place = 0, from = 0;
    trainer->symbols[place++] = EDGE;
    for (uint32_t chunk = 0; chunk < chunks->n; chunk++) {
        for (; from < chunks->ends[chunk]; from++) {
            trainer->symbols[place] = chunks->bytes[from];
            trainer->chunk_at[place++] = chunk;
        }
        trainer->symbols[place++] = EDGE;
    }
    return 0;
}

static int find_byte_pairs(mg_trainer *trainer)
{
    const uint64_t end = trainer->counter->chunks.n_bytes + trainer->counter->chunks.n;
    mg_beside *found = calloc(1 << 16, sizeof *found);
    int failed = found ? 0 : MG_WITHOUT_MEMORY;
    for (uint64_t place = 1; !failed && place < end; place++) {
        const uint32_t left = trainer->symbols[place], right = trainer->symbols[place + 1];
        if (left != EDGE && right != EDGE) {
            found[left << 8 | right].count += trainer->counter->counts[trainer->chunk_at[place]];
            found[left << 8 | right].n_places++;
        }
    }
    for (uint32_t i = 0; !failed && i < 1 << 16; i++)
        if (found[i].n_places && found[i].count >= trainer->least) {
            found[i].first = trainer->n_places;
            trainer->n_places += found[i].n_places;
            failed = add_pair(trainer, i >> 8, i & 255, found + i);
        }
    if (!failed && !MAKE_ROOM(trainer, places, room_for_places, trainer->n_places))
        failed = MG_WITHOUT_MEMORY;
    for (uint64_t place = 1; !failed && place < end; place++) {
        const uint32_t left = trainer->symbols[place], right = trainer->symbols[place + 1];
        if (left != EDGE && right != EDGE && found[left << 8 | right].count >= trainer->least)
            trainer->places[found[left << 8 | right].first++] = (uint32_t)place;
    }
    free(found);
    return failed;
}

int mg_trainer_init(mg_trainer *trainer, mg_counter *counter, uint32_t n_merges, int64_t least)
{
    memset(trainer, 0, sizeof *trainer);
    trainer->counter = counter;
    trainer->least = least > 1 ? least : 1;
    trainer->most_tokens = 256 + (uint64_t)n_merges;
    if (mg_pair_table_init(&trainer->numbers))
        return MG_WITHOUT_MEMORY;
    for (int i = 0; i < 256; i++) {
        trainer->bytes[i] = (uint8_t)i;
        if (add_token(trainer, trainer->bytes + i, 1))
            return MG_WITHOUT_MEMORY;
    }
    const int failed = lay_out(trainer);
    return failed ? failed : find_byte_pairs(trainer);
}

void mg_trainer_free(mg_trainer *trainer)
{
    free(trainer->symbols);
    free(trainer->chunk_at);
    free(trainer->tokens);
    free(trainer->pairs);
    mg_pair_table_free(&trainer->numbers);
    free(trainer->places);
    free(trainer->heap);
    free(trainer->beside);
    free(trainer->touched);
    free(trainer->appeared);
    free(trainer->merges);
}

/* Merging */

/* The chunks' own bytes from a place on, where they stand without edges. */
static const uint8_t *bytes_at(const mg_trainer *trainer, uint32_t place)
{
    return trainer->counter->chunks.bytes + (place - trainer->chunk_at[place] - 1);
}

/* Put the new token where the pair is, from left to right, so that of three equal tokens the first two are joined. */
static int join_everywhere(mg_trainer *trainer, mg_pair pair)
{
    const uint32_t new_token = (uint32_t)trainer->n_tokens;
    const uint32_t n_left = trainer->tokens[pair.left].length, n_right = trainer->tokens[pair.right].length;
    uint32_t *symbols = trainer->symbols;
    if (!MAKE_ROOM(trainer, appeared, room_for_appeared, 2 * (uint64_t)pair.n_places) ||
        !MAKE_ROOM(trainer, touched, room_for_touched, 2 * (trainer->n_tokens + 1)))
        return MG_WITHOUT_MEMORY;
    for (uint64_t i = pair.first; i < pair.first + pair.n_places; i++) {
        const uint32_t place = trainer->places[i], middle = place + n_left, after = middle + n_right;
        if (symbols[place] != pair.left || symbols[middle] != pair.right)
            continue; /* one of the two has been joined with another since */
        if (trainer->n_tokens == new_token &&
            add_token(trainer, bytes_at(trainer, place), n_left + n_right)) /* its bytes are known now */
            return MG_WITHOUT_MEMORY;
        const int64_t count = trainer->counter->counts[trainer->chunk_at[place]];
        const uint32_t before = symbols[place - 1], behind = symbols[after];
        symbols[middle - 1] = symbols[middle] = INSIDE;
        symbols[place] = symbols[after - 1] = new_token;
        if (before != EDGE) {
            lose(trainer, before, pair.left, new_token, count);
            gain(trainer, 2 * before, place - trainer->tokens[before].length, count);
        }
        if (behind != EDGE) {
            lose(trainer, pair.right, behind, new_token, count);
            gain(trainer, 2 * behind + 1, place, count);
        }
    }
    return keep_common(trainer, new_token);
}

int mg_trainer_go_on(mg_trainer *trainer, uint64_t places)
{
    uint64_t looked_at = 0;
    while (looked_at < places) {
        const uint32_t number = trainer->n_tokens < trainer->most_tokens ? commonest(trainer) : MG_NOBODY;
        if (number == MG_NOBODY)
            return MG_FINISHED;
        const mg_pair pair = trainer->pairs[number];
        if (!MAKE_ROOM(trainer, merges, room_for_merges, 2 * (trainer->n_merges + 1)) ||
            join_everywhere(trainer, pair))
            return MG_WITHOUT_MEMORY;
        trainer->merges[2 * trainer->n_merges] = pair.left;
        trainer->merges[2 * trainer->n_merges++ + 1] = pair.right;
        looked_at += pair.n_places;
    }
    return MG_MORE;
}
