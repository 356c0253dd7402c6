/* memory.c: see memory.h. */
#include "train/memory.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "rules/answer.h"
#include "rules/verify.h"

/* The moving mean forgets this share a visit, and above this value a lower level is tried (METHOD.md section 8). */
static const double keep_share = 0.7, easier_above = 0.35;

ag_status ag_memory_create(ag_memory *m, size_t pool, int tiers, ag_error *err)
{
    *m = (ag_memory){.items = ag_calloc(pool + 1, sizeof *m->items), .tiers = tiers};
    m->said = ag_calloc(pool * (size_t)tiers + 1, sizeof *m->said);
    if (!m->items || !m->said) {
        ag_memory_free(m);
        return ag_fail_memory(err, "replay memory");
    }
    m->count = pool;
    for (size_t i = 0; i < pool; i++)
        m->items[i] = (ag_prompt_memory){.level = 1, .said = m->said + i * (size_t)tiers};
    return AG_OK;
}

void ag_memory_free(ag_memory *m)
{
    for (size_t i = 0; i < m->count; i++) ag_free(m->items[i].answer);
    ag_free(m->items);
    ag_free(m->said);
    *m = (ag_memory){0};
}

/* What a moving mean that starts at 0 lacks of its visits' mean. */
static double weight_of(const ag_prompt_memory *p)
{
    return 1 - pow(keep_share, (double)p->visits);
}

void ag_memory_visit(ag_memory *m, size_t prompt, double success, const double *said)
{
    ag_prompt_memory *p = &m->items[prompt];
    p->visits++;
    p->success = keep_share * p->success + (1 - keep_share) * success;
    for (int t = 0; t < m->tiers; t++) p->said[t] = keep_share * p->said[t] + (1 - keep_share) * said[t];
    if (p->success > easier_above && p->level > 1) p->level--;
    if (success > 0) p->unsolved = 0;
}

int ag_memory_dispute(const ag_memory *m, size_t prompt, const ag_gold *gold, double *agree)
{
    const ag_prompt_memory *p = &m->items[prompt];
    int most = 0, gold_tier = gold->soft ? 0 : gold->tier;
    for (int t = 1; t < m->tiers; t++) {
        if (p->said[t] > p->said[most]) most = t;
        if (gold->soft && gold->soft[t] > gold->soft[gold_tier]) gold_tier = t;
    }
    bool same = gold->soft ? gold->soft[most] >= gold->soft[gold_tier] : most == gold_tier;
    *agree = p->visits > 0 ? p->said[most] / weight_of(p) : 0;
    return *agree > 0.5 && !same ? most : -1;
}

double ag_memory_uncertainty(const ag_prompt_memory *p)
{
    if (p->visits == 0) return 0.25;
    double mean = p->success / weight_of(p);
    return mean < 1 ? mean * (1 - mean) : 0;
}

static double draw_weight(const ag_prompt_memory *p, bool by_uncertainty)
{
    if (by_uncertainty) return ag_memory_uncertainty(p);
    return p->visits > 0 && !(p->success > 0);
}

bool ag_memory_draw(const ag_memory *m, double uncertain, double unsolved, ag_rng *rng, size_t *prompt)
{
    double kind = ag_rng_double(rng), total = 0;
    bool by_uncertainty = kind < uncertain;
    if (kind >= uncertain + unsolved) return false;
    for (size_t i = 0; i < m->count; i++) total += draw_weight(&m->items[i], by_uncertainty);
    double at = ag_rng_double(rng) * total, sum = 0;
    for (size_t i = 0; i < m->count; i++) {
        double weight = draw_weight(&m->items[i], by_uncertainty);
        sum += weight;
        if (!(weight > 0)) continue;
        *prompt = i; /* where rounding leaves the sum below `at`: the last that has a weight */
        if (sum > at) break;
    }
    return total > 0;
}

/* --- state/replay.json ----------------------------------------------------------------------------------------- */

static bool put_said(json_t *o, const ag_prompt_memory *p, int tiers)
{
    json_t *list = json_array();
    bool ok = list != NULL;
    for (int t = 0; t < tiers && ok; t++) ok = json_array_append_new(list, json_real(p->said[t])) == 0;
    ok = ok && json_object_set(o, "said", list) == 0;
    json_decref(list);
    return ok;
}

static json_t *prompt_json(size_t at, const char *id, const ag_prompt_memory *p, int tiers)
{
    json_t *o = json_pack("{s:I, s:s, s:f, s:I, s:I, s:i}", "pair", (json_int_t)at, "id", id, "success",
                          p->success, "visits", (json_int_t)p->visits, "unsolved", (json_int_t)p->unsolved,
                          "level", p->level);
    bool ok = o && put_said(o, p, tiers) && (!p->answer || ag_json_set(o, "answer", json_string(p->answer)));
    if (ok) return o;
    json_decref(o);
    return NULL;
}

ag_status ag_memory_save(const ag_memory *m, const ag_pair_list *pool, const char *dir, ag_error *err)
{
    json_t *list = json_array();
    char *path = ag_path_join(dir, "replay.json");
    bool ok = list && path;
    for (size_t i = 0; i < m->count && ok; i++)
        if (m->items[i].visits > 0)
            ok = json_array_append_new(list, prompt_json(i, pool->items[i]->id, &m->items[i], m->tiers)) == 0;
    ag_status status = ok ? ag_json_save(path, list, err) : ag_fail_memory(err, "replay memory");
    json_decref(list);
    ag_free(path);
    return status;
}

static ag_status load_prompt(ag_memory *m, const ag_pair_list *pool, const json_t *o, const char *path,
                             ag_error *err)
{
    long at = -1, visits = 0, unsolved = 0, level = 1;
    const char *answer = NULL, *id = NULL;
    AG_TRY(ag_json_get_string(o, "id", &id, path, err));
    AG_TRY(ag_json_get_int(o, "pair", 0, 0x7fffffffffffffff, &at, path, err));
    if (at < 0 || (size_t)at >= m->count || !id || !ag_streq(id, pool->items[at]->id))
        return ag_fail(err, AG_ERR_INPUT, "%s: '%s' is not pair %ld of the pool: the pool has changed", path,
                       id ? id : "?", at);
    ag_prompt_memory *p = &m->items[at];
    AG_TRY(ag_json_get_double(o, "success", &p->success, path, err));
    AG_TRY(ag_json_get_int(o, "visits", 0, 0x7fffffffffffffff, &visits, path, err));
    AG_TRY(ag_json_get_int(o, "unsolved", 0, 0x7fffffffffffffff, &unsolved, path, err));
    AG_TRY(ag_json_get_int(o, "level", 1, 5, &level, path, err));
    AG_TRY(ag_json_get_string(o, "answer", &answer, path, err));
    p->visits = visits;
    p->unsolved = unsolved;
    p->level = (int)level;
    for (int t = 0; t < m->tiers; t++)
        p->said[t] = json_number_value(json_array_get(json_object_get(o, "said"), (size_t)t));
    ag_free(p->answer);
    p->answer = answer ? ag_strdup(answer) : NULL;
    return answer && !p->answer ? ag_fail_memory(err, "replay memory") : AG_OK;
}

ag_status ag_memory_load(ag_memory *m, const ag_pair_list *pool, const char *dir, ag_error *err)
{
    json_t *list = NULL;
    char *path = ag_path_join(dir, "replay.json");
    if (path && !ag_path_exists(path)) {
        ag_free(path);
        return AG_OK;
    }
    ag_status status = path ? ag_json_load(&list, path, err) : ag_fail_memory(err, "replay memory");
    if (status == AG_OK && !json_is_array(list))
        status = ag_fail(err, AG_ERR_INPUT, "%s: not a replay memory", path);
    for (size_t i = 0; status == AG_OK && i < json_array_size(list); i++)
        status = load_prompt(m, pool, json_array_get(list, i), path, err);
    json_decref(list);
    ag_free(path);
    return status;
}

/* --- unsolved.jsonl --------------------------------------------------------------------------------------------- */

typedef struct doubt {
    size_t pair;
    int64_t unsolved;
    int other; /* tier that the model says in place of gold's; -1: none */
    double agree;
} doubt;

static int more_doubtful(const void *a, const void *b)
{
    const doubt *x = a, *y = b;
    if (x->unsolved != y->unsolved) return x->unsolved > y->unsolved ? -1 : 1;
    if (x->agree != y->agree) return x->agree > y->agree ? -1 : 1;
    return x->pair < y->pair ? -1 : x->pair > y->pair;
}

/* What the model says, as its most frequent failure. */
static json_t *says_json(const ag_prompt_memory *p, const ag_book *book, const ag_pair *pair, ag_error *err)
{
    json_t *says = json_object();
    ag_reward_options options;
    ag_verdict v;
    ag_reward_defaults(&options, book);
    ag_verify(book, &pair->asked, &pair->gold, p->answer, strlen(p->answer), &options, &v, NULL);
    bool ok = says && (!v.format || ag_answer_to_json(says, book, &pair->asked, &v.answer, err) == AG_OK);
    if (ok && ag_json_set(says, "gate", json_boolean(v.gate))) return says;
    json_decref(says);
    return NULL;
}

/* The pair as it is, and why it is here. */
static json_t *unsolved_json(const ag_prompt_memory *p, const doubt *d, const ag_book *book,
                             const ag_pair *pair, ag_error *err)
{
    json_t *line = ag_pair_to_json(pair, book), *replay = json_object();
    bool ok = line && replay && ag_json_set(replay, "unsolved", json_integer((json_int_t)p->unsolved)) &&
              ag_json_set(replay, "visits", json_integer((json_int_t)p->visits)) &&
              ag_json_set(replay, "success", json_real(p->success)) &&
              ag_json_set(replay, "level", json_integer(p->level));
    if (ok && d->other >= 0)
        ok = ag_json_set(replay, "disputed", json_string(book->tiers[d->other].id)) &&
             ag_json_set(replay, "agree", json_real(d->agree));
    ok = ok && (!p->answer || ag_json_set(replay, "says", says_json(p, book, pair, err))) &&
         json_object_set(line, "replay", replay) == 0;
    json_decref(replay);
    if (ok) return line;
    json_decref(line);
    return NULL;
}

ag_status ag_memory_write_unsolved(const ag_memory *m, const ag_book *book, const ag_pair_list *pool,
                                   const char *run_dir, ag_error *err)
{
    char *path = ag_path_join(run_dir, "unsolved.jsonl");
    doubt *list = ag_calloc(m->count + 1, sizeof *list);
    size_t n = 0;
    ag_out *out = NULL;
    ag_status status = path && list ? ag_out_open(&out, path, err) : ag_fail_memory(err, "unsolved pairs");
    for (size_t i = 0; i < m->count && status == AG_OK; i++) {
        doubt d = {.pair = i, .unsolved = m->items[i].unsolved};
        d.other = ag_memory_dispute(m, i, &pool->items[i]->gold, &d.agree);
        if (d.unsolved > 0 || d.other >= 0) list[n++] = d;
    }
    if (status == AG_OK) qsort(list, n, sizeof *list, more_doubtful);
    for (size_t i = 0; i < n && status == AG_OK; i++)
        status = ag_json_write_line(
            out, unsolved_json(&m->items[list[i].pair], &list[i], book, pool->items[list[i].pair], err), err);
    if (status == AG_OK)
        status = ag_out_commit(out, err);
    else
        ag_out_abort(out);
    ag_free(list);
    ag_free(path);
    return status;
}
