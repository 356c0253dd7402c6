/* copying.c: false hints, and what a judge makes of them. */
#include "eval/copying.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"

bool ag_copy_gold(ag_gold *gold, const ag_book *book, const ag_pair *pair, uint64_t seed)
{
    enum { ATTEMPTS = 1000 };
    ag_rng rng = ag_rng_at(seed, AG_RNG_CHECK, ag_hash64(pair->id, strlen(pair->id)), 0, 0, 0);
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        *gold = (ag_gold){.rule = -1, .tier = -1};
        ag_verdicts_clear(&gold->verdicts);
        for (int c = 0; c < book->criterion_count; c++) {
            int entries = book->criteria[c].per_asked ? pair->asked.count : 1;
            for (int a = 0; a < entries; a++)
                gold->verdicts.v[c][a] = (int8_t)ag_rng_below(&rng,
                                                              (uint32_t)book->criteria[c].verdict_count);
        }
        ag_derive(book, &pair->asked, &gold->verdicts, &gold->tier, &gold->rule);
        if (gold->rule >= 0 && gold->tier != pair->gold.tier) return true;
    }
    return false;
}

static bool complete(const ag_book *book, const ag_pair *pair)
{
    return pair->gold.tier >= 0 && pair->gold.rule >= 0 &&
           ag_verdicts_complete(book, &pair->asked, &pair->gold.verdicts);
}

/* *made false: nothing false can be said of this pair. */
static ag_status make_probe(ag_copy_probe *probe, bool *made, ag_arena *arena, const ag_book *book,
                            const ag_pair *pair, uint64_t seed, ag_error *err)
{
    ag_gold gold;
    ag_hint_fields fields;
    ag_str hint = {0};
    bool reveals;
    *made = ag_copy_gold(&gold, book, pair, seed);
    if (!*made) return AG_OK;
    memset(&fields, 1, sizeof fields);
    ag_status status = ag_hint_build(&hint, &reveals, book, &pair->item, &pair->asked, &gold, &fields,
                                     AG_COPY_LEVEL, err);
    *made = hint.len > 0;
    probe->tier = gold.tier;
    if (status == AG_OK && *made) probe->hint = ag_arena_strdup(arena, ag_str_text(&hint));
    if (status == AG_OK && *made && !probe->hint) status = ag_fail_memory(err, "hints");
    ag_str_free(&hint);
    return status;
}

ag_status ag_copy_probes_make(ag_copy_probes *probes, const ag_book *book, const ag_pair_list *pairs,
                              size_t most, uint64_t seed, ag_error *err)
{
    size_t room = most < pairs->count ? most : pairs->count;
    *probes = (ag_copy_probes){.arena = {.name = "hints"}};
    probes->items = ag_arena_alloc(&probes->arena, room, sizeof *probes->items);
    ag_status status = probes->items ? AG_OK : ag_fail_memory(err, "hints");
    for (size_t i = 0; i < pairs->count && probes->count < room && status == AG_OK; i++) {
        ag_copy_probe *probe = &probes->items[probes->count];
        bool made = false;
        if (!complete(book, pairs->items[i])) continue;
        probe->pair = i;
        status = make_probe(probe, &made, &probes->arena, book, pairs->items[i], seed, err);
        probes->count += made;
    }
    if (status != AG_OK) ag_copy_probes_free(probes);
    return status;
}

void ag_copy_probes_free(ag_copy_probes *probes)
{
    ag_arena_free(&probes->arena);
    *probes = (ag_copy_probes){0};
}

ag_status ag_copy_judge(ag_judge *judge, const ag_copy_probes *probes, const ag_pair_list *pairs,
                        const ag_judge_progress *progress, ag_judgement *out, ag_error *err)
{
    ag_judge_input *inputs = ag_calloc(probes->count, sizeof *inputs);
    if (!inputs) return ag_fail_memory(err, "hinted prompts");
    for (size_t i = 0; i < probes->count; i++) {
        const ag_pair *pair = pairs->items[probes->items[i].pair];
        inputs[i] = (ag_judge_input){pair->query, &pair->item, &pair->asked, probes->items[i].hint};
    }
    ag_status status = ag_judge_run(judge, inputs, probes->count, AG_ANSWER_GREEDY, progress, out, err);
    ag_free(inputs);
    return status;
}

double ag_copy_rate(const ag_copy_probes *probes, const int *tiers)
{
    size_t copied = 0;
    for (size_t i = 0; i < probes->count; i++) copied += tiers[i] == probes->items[i].tier;
    return probes->count ? (double)copied / (double)probes->count : NAN;
}
