/* records.c: a pair and its judgement become the record that metrics read. */
#include <math.h>
#include <string.h>
#include "base/mem.h"
#include "eval/judge.h"

ag_status ag_pair_fill_asked(ag_pair *pair, const ag_lexicon *lexicon, ag_error *err)
{
    if (pair->asked.source != AG_ASKED_UNKNOWN) return AG_OK;
    ag_asked parsed = {0};
    ag_status status = ag_asked_parse(&parsed, NULL, lexicon, pair->query, &pair->item, &pair->arena, err);
    if (status != AG_OK) return status;
    if (pair->asked.type_count > 0) { /* a type that the pair names stays */
        memcpy(parsed.types, pair->asked.types, sizeof parsed.types);
        parsed.type_count = pair->asked.type_count;
    }
    pair->asked = parsed;
    return AG_OK;
}

static ag_status copy_group(ag_record *r, const ag_pair *pair, ag_arena *arena, ag_error *err)
{
    ag_str group = {0};
    ag_status status = ag_query_group(&group, pair->query, err);
    if (status == AG_OK) status = ag_str_ok(&group, err);
    r->group = status == AG_OK ? ag_arena_strndup(arena, ag_str_text(&group), group.len) : NULL;
    if (status == AG_OK && !r->group) status = ag_fail_memory(err, "record");
    ag_str_free(&group);
    return status;
}

/* Slices: each query type, where asked came from, the locale, and every text member of the pair's "slice" object. */
static ag_status fill_slices(ag_record *r, const ag_pair *pair, ag_arena *arena, ag_error *err)
{
    json_t *object = json_object_get(pair->json, "slice");
    size_t n = (size_t)pair->asked.type_count + 2 + (json_is_object(object) ? json_object_size(object) : 0);
    const char **names = ag_arena_alloc(arena, n, sizeof *names),
               **values = ag_arena_alloc(arena, n, sizeof *values);
    if (!names || !values) return ag_fail_memory(err, "record");
    int count = 0;
    for (int t = 0; t < pair->asked.type_count; t++)
        names[count] = "type", values[count++] = pair->asked.types[t];
    names[count] = "asked";
    values[count++] = pair->asked.source == AG_ASKED_GIVEN ? "given" : "parsed";
    if (pair->locale) names[count] = "locale", values[count++] = pair->locale;
    const char *key;
    json_t *value;
    if (json_is_object(object)) {
        json_object_foreach(object, key, value)
        {
            if (!json_is_string(value)) continue;
            names[count] = key;
            values[count++] = json_string_value(value);
        }
    }
    r->slice_names = names;
    r->slice_values = values;
    r->slice_count = count;
    return AG_OK;
}

static void count_verdicts(ag_record *r, const ag_book *book, const ag_pair *pair, const ag_verdict *v)
{
    for (int c = 0; c < book->criterion_count; c++) {
        int entries = book->criteria[c].per_asked ? pair->asked.count : 1;
        for (int a = 0; a < entries; a++) {
            int gold = pair->gold.verdicts.v[c][a];
            if (gold < 0) continue;
            r->verdicts_known = true; /* in an answer out of form they are missed */
            r->verdict_count[c]++;
            r->verdict_hits[c] += r->format && v->answer.verdicts.v[c][a] == gold;
        }
    }
}

static ag_status fill_ratings(ag_record *r, const ag_pair *pair, ag_arena *arena, ag_error *err)
{
    if (pair->rating_count == 0) return AG_OK;
    int *ratings = ag_arena_alloc(arena, (size_t)pair->rating_count, sizeof *ratings);
    if (!ratings) return ag_fail_memory(err, "record");
    for (int i = 0; i < pair->rating_count; i++) ratings[i] = pair->ratings[i].tier;
    r->ratings = ratings;
    r->rating_count = pair->rating_count;
    return AG_OK;
}

ag_status ag_record_begin(ag_record *r, const ag_pair *pair, ag_arena *arena, ag_error *err)
{
    *r = (ag_record){.id = pair->id,
                     .query = pair->query,
                     .title = pair->item.title,
                     .gold = pair->gold.tier,
                     .tier = -1,
                     .answer_tier = -1,
                     .derived_tier = -1,
                     .gold_rule = pair->gold.rule,
                     .rule = -1};
    AG_TRY(copy_group(r, pair, arena, err));
    AG_TRY(fill_slices(r, pair, arena, err));
    return fill_ratings(r, pair, arena, err);
}

void ag_record_judge(ag_record *r, const ag_book *book, const ag_pair *pair, const ag_judgement *j)
{
    ag_reward_options options;
    ag_verdict verdict;
    r->tier = j->tier;
    r->answer = j->answer;
    memcpy(r->probability, j->probability, sizeof r->probability);
    if (!j->answer) return;
    ag_reward_defaults(&options, book);
    ag_verify(book, &pair->asked, &pair->gold, j->answer, strlen(j->answer), &options, &verdict, NULL);
    r->answered = true;
    r->format = verdict.format && j->finished;
    r->gate = r->format && verdict.gate;
    r->answer_tier = r->format ? verdict.answer.tier : -1;
    r->rule = r->format ? verdict.answer.rule : -1;
    r->derived_tier = r->format ? verdict.derived_tier : -1;
    r->verdicts_right = r->format && verdict.verdicts_right;
    count_verdicts(r, book, pair, &verdict);
}

ag_status ag_record_fill(ag_record *r, const ag_book *book, const ag_pair *pair, const ag_judgement *j,
                         ag_arena *arena, ag_error *err)
{
    AG_TRY(ag_record_begin(r, pair, arena, err));
    ag_record_judge(r, book, pair, j);
    return AG_OK;
}
