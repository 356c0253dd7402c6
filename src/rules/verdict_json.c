/* verdict_json.c: answers and verdicts as the JSON of DESIGN.md section 4 (`agrl verify`, `agrl judge --explain`,
 * rollout files). Members stand in the order of that section.
 */
#include "rules/verify.h"

#include <math.h>

/* Sets a new value (reference taken, also on failure). */
static bool set_new(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) == 0;
}

/* Sums of weights like 0.1 and 0.2 read as people wrote them: the last bits of a double are left out. */
static json_t *number(double x)
{
    return json_real(round(x * 1e12) / 1e12);
}

static json_t *number_or_null(double x)
{
    return isnan(x) ? json_null() : number(x);
}

static json_t *rule_or_null(const ag_book *book, int rule)
{
    return rule < 0 ? json_null() : json_string(book->rules[rule].id);
}

static json_t *verdict_or_null(const ag_criterion *criterion, int v)
{
    return v < 0 ? json_null() : json_string(criterion->verdicts[v]);
}

static json_t *verdicts_json(const ag_book *book, const ag_asked *asked, const ag_verdicts *verdicts)
{
    json_t *all = json_object();
    bool good = all != NULL;
    for (int c = 0; c < book->criterion_count && good; c++) {
        const ag_criterion *criterion = &book->criteria[c];
        if (!criterion->per_asked) {
            good = set_new(all, criterion->id, verdict_or_null(criterion, verdicts->v[c][0]));
            continue;
        }
        json_t *entries = json_object();
        for (int a = 0; a < asked->count && entries && good; a++) {
            good = set_new(entries, asked->entries[a].id, verdict_or_null(criterion, verdicts->v[c][a]));
        }
        good = set_new(all, criterion->id, entries) && good;
    }
    if (good) return all;
    json_decref(all);
    return NULL;
}

ag_status ag_answer_to_json(json_t *object, const ag_book *book, const ag_asked *asked,
                            const ag_answer *answer, ag_error *err)
{
    bool good = set_new(object, "tier", json_string(book->tiers[answer->tier].id));
    good = good && set_new(object, "verdicts", verdicts_json(book, asked, &answer->verdicts));
    good = good && set_new(object, "rule", rule_or_null(book, answer->rule));
    if (good && answer->why) good = set_new(object, "why", json_stringn(answer->why, answer->why_len));
    return good ? AG_OK : ag_fail_memory(err, "verdict");
}

static json_t *derived_json(const ag_book *book, const ag_verdict *v)
{
    json_t *derived = json_object();
    bool good = derived && set_new(derived, "tier", json_string(book->tiers[v->derived_tier].id));
    if (good && set_new(derived, "rule", rule_or_null(book, v->derived_rule))) return derived;
    json_decref(derived);
    return NULL;
}

static json_t *scores_json(const ag_book *book, const ag_verdict *v)
{
    json_t *scores = json_object();
    bool good = scores && set_new(scores, "tier", number_or_null(v->score_tier));
    for (int c = 0; c < book->criterion_count && good; c++) {
        good = set_new(scores, book->criteria[c].id, number_or_null(v->score_criterion[c]));
    }
    if (good && set_new(scores, "rule", number_or_null(v->score_rule))) return scores;
    json_decref(scores);
    return NULL;
}

/* A masked term is left out: its weight is in the tier's. */
static json_t *terms_json(const ag_book *book, const ag_verdict *v)
{
    json_t *terms = json_object();
    if (!terms) return NULL;
    bool good;
    if (!v->format) {
        good = set_new(terms, "format", number(v->term_format));
    } else {
        good = set_new(terms, "tier", number(v->term_tier));
        for (int c = 0; c < book->criterion_count && good; c++) {
            if (isnan(v->score_criterion[c])) continue;
            good = set_new(terms, book->criteria[c].id, number(v->term_criterion[c]));
        }
        if (good && !isnan(v->score_rule)) good = set_new(terms, "rule", number(v->term_rule));
    }
    if (good) return terms;
    json_decref(terms);
    return NULL;
}

static json_t *reward_json(const ag_book *book, const ag_verdict *v)
{
    json_t *reward = json_object();
    bool good = reward && set_new(reward, "terms", terms_json(book, v));
    if (good && set_new(reward, "total", number(v->total))) return reward;
    json_decref(reward);
    return NULL;
}

const char *const ag_gate_names[4] = {"hard", "soft", "keep_tier", "off"};

/* The weight of each gold verdict of a criterion. */
static json_t *balance_json(const ag_criterion *criterion, const double *weight)
{
    json_t *of = json_object();
    for (int v = 0; of && v < criterion->verdict_count; v++) {
        if (set_new(of, criterion->verdicts[v], json_real(weight[v]))) continue;
        json_decref(of);
        return NULL;
    }
    return of;
}

json_t *ag_reward_to_json(const ag_book *book, const ag_reward_options *o)
{
    json_t *all = json_pack("{s:f, s:f, s:f, s:{}}", "tier", o->tier, "rule", o->rule, "format_penalty",
                            o->format_penalty, "criteria");
    json_t *criteria = json_object_get(all, "criteria"), *balance = o->verdict_weight ? json_object() : NULL;
    bool good = all && (!o->verdict_weight || balance);
    for (int c = 0; c < book->criterion_count && good; c++) {
        const ag_criterion *criterion = &book->criteria[c];
        good = set_new(criteria, criterion->id, number(o->criterion[c]));
        if (good && balance && criterion->per_asked)
            good = set_new(balance, criterion->id, balance_json(criterion, o->verdict_weight[c]));
    }
    if (good && balance) good = json_object_set(all, "balance", balance) == 0;
    json_decref(balance);
    if (good) return all;
    json_decref(all);
    return NULL;
}

static bool any_score(const ag_book *book, const ag_verdict *v)
{
    bool any = !isnan(v->score_tier) || !isnan(v->score_rule);
    for (int c = 0; c < book->criterion_count; c++) any = any || !isnan(v->score_criterion[c]);
    return any;
}

json_t *ag_verdict_to_json(const ag_book *book, const ag_asked *asked, const ag_verdict *v, const char *id,
                           const char *refusal)
{
    json_t *line = json_object();
    bool good = line != NULL;
    if (good && id) good = set_new(line, "id", json_string(id));
    good = good && set_new(line, "format", json_boolean(v->format));
    if (!v->format) {
        good = good && set_new(line, "refused", json_string(refusal ? refusal : ""));
        good = good && set_new(line, "gate", json_false());
    } else {
        good = good && !ag_answer_to_json(line, book, asked, &v->answer, NULL);
        good = good && set_new(line, "derived", derived_json(book, v));
        good = good && set_new(line, "gate", json_boolean(v->gate));
        if (good && any_score(book, v)) good = set_new(line, "scores", scores_json(book, v));
    }
    if (good && (!v->format || v->has_gold)) good = set_new(line, "reward", reward_json(book, v));
    if (good) return line;
    json_decref(line);
    return NULL;
}
