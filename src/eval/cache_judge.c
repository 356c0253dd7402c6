/* cache_judge.c: what a judgement depends on, as a key, and judging through a cache. */
#include "eval/cache.h"

#include <string.h>
#include "base/digest.h"

/* Every part goes in with its length, so that no two lists of parts are the same bytes. */
static void add(ag_sha256 *s, const void *bytes, size_t n)
{
    unsigned char length[8];
    for (int i = 0; i < 8; i++) length[i] = (unsigned char)((uint64_t)n >> 8 * i & 0xFF);
    ag_sha256_add(s, length, sizeof length);
    ag_sha256_add(s, bytes, n);
}

/* An absent text is not an empty one. */
static void add_text(ag_sha256 *s, const char *text)
{
    const char present = text != NULL;
    add(s, &present, 1);
    add(s, text ? text : "", text ? strlen(text) : 0);
}

static void add_number(ag_sha256 *s, double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(bits >> 8 * i & 0xFF);
    add(s, bytes, sizeof bytes);
}

static void finish(ag_sha256 *s, char hex[65])
{
    unsigned char digest[32];
    ag_sha256_end(s, digest);
    ag_sha256_hex(digest, hex);
}

ag_status ag_cache_identity(char hex[65], const ag_judge *judge, const char *model_digest,
                            const char *arithmetic, ag_error *err)
{
    ag_str calibration = {0};
    ag_sha256 s;
    ag_calibration_digest(&calibration, ag_judge_options_of(judge)->calibration);
    ag_status status = ag_str_ok(&calibration, err);
    ag_sha256_begin(&s);
    add_text(&s, "judgement 1");
    add_text(&s, model_digest);
    add_text(&s, arithmetic);
    add_text(&s, ag_str_text(&calibration));
    add_text(&s, ag_judge_book(judge)->digest);
    finish(&s, hex);
    ag_str_free(&calibration);
    return status;
}

static void add_item(ag_sha256 *s, const ag_item *item)
{
    add_text(s, item->title);
    add_text(s, item->brand);
    add_text(s, item->category);
    add_text(s, item->description);
    add_number(s, item->has_price);
    add_number(s, item->has_price ? item->price : 0);
    add_number(s, item->field_count);
    for (int f = 0; f < item->field_count; f++) {
        add_text(s, item->fields[f].name);
        add_number(s, item->fields[f].count);
        for (int v = 0; v < item->fields[f].count; v++) add_text(s, item->fields[f].values[v]);
    }
}

static void add_asked(ag_sha256 *s, const ag_asked *asked)
{
    add_number(s, asked->count);
    for (int a = 0; a < asked->count; a++) {
        const ag_ask *ask = &asked->entries[a];
        add_text(s, ask->id);
        add_text(s, ask->name);
        add_number(s, ask->op);
        add_number(s, ask->core);
        add_number(s, ask->negated);
        add_number(s, ask->value_count);
        for (int v = 0; v < ask->value_count; v++) add_text(s, ask->values[v]);
    }
    add_number(s, asked->type_count);
    for (int t = 0; t < asked->type_count; t++) add_text(s, asked->types[t]);
}

/* What an explained answer goes on from. */
static void add_decision(ag_sha256 *s, const ag_decision *d, int tiers)
{
    add_number(s, d ? d->by : AG_DECIDE_ARGMAX);
    if (d && d->by == AG_DECIDE_THRESHOLD) add_number(s, d->threshold);
    for (int t = 0; d && d->by == AG_DECIDE_COST && t < tiers; t++)
        for (int said = 0; said < tiers; said++) add_number(s, d->cost[t][said]);
}

void ag_cache_key_of(ag_cache_key *key, const char *identity, const ag_decision *decision, int tiers,
                     const ag_judge_input *input, ag_judge_answer answer)
{
    ag_sha256 s;
    ag_sha256_begin(&s);
    add_text(&s, identity);
    add_number(&s, answer);
    if (answer == AG_ANSWER_EXPLAIN) add_decision(&s, decision, tiers);
    add_text(&s, input->query);
    add_text(&s, input->hint);
    add_item(&s, input->item);
    add_asked(&s, input->asked);
    ag_sha256_end(&s, key->bytes);
}

/* Judges those without a hit, in their order. */
static ag_status judge_rest(ag_judge *judge, const ag_judge_input *inputs, size_t n, ag_judge_answer answer,
                            const bool *hit, ag_judgement *out, ag_error *err)
{
    size_t rest = 0;
    ag_judge_input *asked = ag_calloc(n, sizeof *asked);
    ag_judgement *judged = ag_calloc(n, sizeof *judged);
    ag_status status = asked && judged ? AG_OK : ag_fail_memory(err, "judgements");
    for (size_t i = 0; i < n && status == AG_OK; i++)
        if (!hit[i]) asked[rest++] = inputs[i];
    if (status == AG_OK && rest) status = ag_judge_run(judge, asked, rest, answer, NULL, judged, err);
    for (size_t i = 0, r = 0; i < n && status == AG_OK; i++)
        if (!hit[i]) {
            out[i] = judged[r];
            judged[r++].answer = NULL;
        }
    ag_judgements_free(judged, judged ? rest : 0);
    ag_free(asked);
    return status;
}

ag_status ag_cache_judge(ag_cache *cache, const char *identity, ag_judge *judge, const ag_judge_input *inputs,
                         size_t n, ag_judge_answer answer, ag_judgement *out, size_t *hits, ag_error *err)
{
    if (!cache) return ag_judge_run(judge, inputs, n, answer, NULL, out, err);
    int tiers = ag_judge_book(judge)->tier_count;
    const ag_decision *decision = ag_judge_options_of(judge)->decision;
    ag_cache_key *keys = ag_calloc(n, sizeof *keys);
    bool *hit = ag_calloc(n, sizeof *hit);
    ag_status status = keys && hit ? AG_OK : ag_fail_memory(err, "cache");
    memset(out, 0, n * sizeof *out);
    for (size_t i = 0; i < n && status == AG_OK; i++)
        ag_cache_key_of(&keys[i], identity, decision, tiers, &inputs[i], answer);
    if (status == AG_OK) status = ag_cache_get(cache, keys, n, tiers, out, hit, err);
    if (status == AG_OK) status = judge_rest(judge, inputs, n, answer, hit, out, err);
    for (size_t i = 0; i < n && status == AG_OK; i++) {
        if (!hit[i]) continue;
        out[i].calibrated = ag_judge_options_of(judge)->calibration != NULL;
        ag_judgement_decide(&out[i], ag_judge_book(judge), decision);
        if (hits) ++*hits;
    }
    if (status == AG_OK) status = ag_cache_put(cache, keys, n, tiers, out, hit, err);
    ag_free(keys);
    ag_free(hit);
    return status;
}
