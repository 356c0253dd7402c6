/* judged.c: see judged.h. */
#include "eval/judged.h"

#include <stdio.h>

ag_status ag_judged_probabilities(ag_judgement *j, double *total, const ag_book *book, const json_t *line,
                                  const char *where, ag_error *err)
{
    const json_t *probabilities = json_object_get(line, "probabilities");
    *total = 0;
    for (int t = 0; t < book->tier_count; t++) {
        double p = -1;
        AG_TRY(ag_json_get_double(probabilities, book->tiers[t].id, &p, where, err));
        if (!(p >= 0 && p <= 1))
            return ag_fail(err, AG_ERR_INPUT, "%s: no probability of tier '%s' between 0 and 1", where,
                           book->tiers[t].id);
        j->probability[t] = p;
        *total += p;
        j->gain += p * book->tiers[t].gain;
        if (p > j->probability[j->tier]) j->tier = t;
    }
    return AG_OK;
}

static ag_status read_judgement(ag_judgement *j, const ag_book *book, const json_t *line, const char *where,
                                ag_error *err)
{
    double total;
    const char *tier = NULL; /* as it was decided, which need not be the likeliest one */
    if (!json_is_object(json_object_get(line, "probabilities")))
        return ag_fail(err, AG_ERR_INPUT, "%s: a judgement needs 'probabilities'", where);
    AG_TRY(ag_judged_probabilities(j, &total, book, line, where, err));
    if (total < 0.999 || total > 1.001)
        return ag_fail(err, AG_ERR_INPUT, "%s: the probabilities sum to %g, not 1", where, total);
    AG_TRY(ag_json_get_bool(line, "calibrated", &j->calibrated, where, err));
    AG_TRY(ag_json_get_string(line, "tier", &tier, where, err));
    if (!tier) return AG_OK;
    j->tier = ag_book_tier(book, tier);
    if (j->tier < 0) return ag_fail(err, AG_ERR_INPUT, "%s: the rulebook has no tier '%.80s'", where, tier);
    return AG_OK;
}

/* The numbers of the pairs by id. New reference; NULL when out of memory. */
static json_t *index_pairs(const ag_pair_list *pairs)
{
    json_t *index = json_object();
    for (size_t i = 0; i < pairs->count && index; i++) {
        if (json_object_set_new(index, pairs->items[i]->id, json_integer((json_int_t)i)) == 0) continue;
        json_decref(index);
        index = NULL;
    }
    return index;
}

ag_status ag_judged_load(ag_judgement **result, const ag_pair_list *pairs, const ag_book *book,
                         const char *path, ag_error *err)
{
    size_t n = pairs->count, found = 0;
    ag_lines *lines = NULL;
    json_t *index = index_pairs(pairs);
    bool *seen = ag_calloc(n, sizeof *seen);
    ag_judgement *judged = ag_calloc(n, sizeof *judged);
    ag_status status = index && seen && judged ? ag_lines_open(&lines, path, err)
                                               : ag_fail_memory(err, "judgements");
    *result = NULL;
    while (status == AG_OK) {
        char *text, where[1200];
        size_t len;
        json_t *line = NULL;
        const char *id = NULL;
        status = ag_lines_next(lines, &text, &len, err);
        if (status != AG_OK || !text) break;
        snprintf(where, sizeof where, "%s:%ld", ag_lines_path(lines), ag_lines_number(lines));
        status = ag_json_parse(&line, text, len, ag_lines_path(lines), ag_lines_number(lines), err);
        if (status == AG_OK) status = ag_json_get_string(line, "id", &id, where, err);
        const json_t *at = id ? json_object_get(index, id) : NULL;
        if (status == AG_OK && at) {
            size_t i = (size_t)json_integer_value(at);
            if (seen[i])
                status = ag_fail(err, AG_ERR_INPUT, "%s: '%s' is judged twice", where, id);
            else
                status = read_judgement(&judged[i], book, line, where, err);
            seen[i] = true;
            found++;
        }
        json_decref(line);
    }
    if (status == AG_OK && found < n)
        status = ag_fail(err, AG_ERR_INPUT, "%s: %zu of %zu pairs are not judged", ag_lines_path(lines),
                         n - found, n);
    if (status == AG_OK)
        *result = judged;
    else
        ag_judgements_free(judged, judged ? n : 0);
    ag_lines_close(lines);
    ag_free(seen);
    json_decref(index);
    return status;
}
