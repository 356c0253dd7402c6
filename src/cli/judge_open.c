/* judge_open.c: see judge_open.h. */
#include "cli/judge_open.h"

#include <string.h>
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/pull.h"

ag_status ag_setup_model(ag_judge_setup *s, const ag_model_choice *choice, ag_error *err)
{
    ag_dtype type;
    if (!choice->model)
        return ag_fail(err, AG_ERR_USAGE,
                       "--model is missing: a folder, a .gguf file, a run folder or a pulled model's name");
    AG_TRY(ag_pull_if_needed(choice->model, err));
    AG_TRY(ag_device_open(&s->device, choice->device, (int)choice->threads, err));
    AG_TRY(ag_dtype_choose(&type, choice->dtype, s->device, err));
    ag_model_options options = {.type = type, .max_positions = (int)choice->max_positions};
    return ag_model_open(&s->opened, choice->model, s->device, &options, err);
}

ag_status ag_setup_rules(ag_judge_setup *s, const char *rules, const char *lexicon, ag_error *err)
{
    if (!rules) return ag_fail(err, AG_ERR_USAGE, "--rules is missing: a rulebook (see rules/)");
    AG_TRY(ag_book_load(&s->book, rules, err));
    AG_TRY(ag_facts_of_book(&s->facts, s->book, err));
    char *own = s->opened.dir ? ag_path_join(s->opened.dir, "lexicon.json") : NULL;
    if (!lexicon && own && ag_path_exists(own)) lexicon = own;
    ag_status status = ag_lexicon_open(&s->lexicon, s->facts, s->book, lexicon, err);
    ag_free(own);
    return status;
}

ag_status ag_setup_digest(ag_judge_setup *s, ag_error *err)
{
    char files[65];
    ag_judge_format format;
    if (s->model_digest[0]) return AG_OK;
    AG_TRY(ag_judge_format_load(&format, s->opened.dir, s->opened.tokenizer, err));
    AG_TRY(ag_opened_digest(files, &s->opened, err));
    ag_judge_model_digest(s->model_digest, files, &format);
    return AG_OK;
}

ag_status ag_setup_calibration_path(char **path, const ag_judge_setup *s, ag_error *err)
{
    const char *model = s->opened.path;
    ag_str file = {0};
    if (ag_path_is_dir(model))
        *path = ag_path_join(model, "calibration.json");
    else {
        ag_str_addf(&file, "%s.calibration.json", model);
        *path = ag_str_take(&file);
    }
    ag_str_free(&file);
    return *path ? AG_OK : ag_fail_memory(err, "file name");
}

ag_status ag_decide_check(const ag_decide_choice *c, ag_error *err)
{
    bool threshold = ag_streq(c->decide, "threshold"), cost = ag_streq(c->decide, "cost"),
         x = c->threshold > 0;
    if (threshold && !x)
        return ag_fail(err, AG_ERR_USAGE,
                       "--decide threshold needs --threshold X (agrl calibrate shows what each buys)");
    if (x && !threshold) return ag_fail(err, AG_ERR_USAGE, "--threshold needs --decide threshold");
    if (cost && !c->costs)
        return ag_fail(err, AG_ERR_USAGE, "--decide cost needs --costs FILE: true tier: {tier said: cost}");
    if (c->costs && !cost) return ag_fail(err, AG_ERR_USAGE, "--costs needs --decide cost");
    return AG_OK;
}

ag_status ag_setup_decision(ag_judge_setup *s, const ag_decide_choice *c, ag_error *err)
{
    AG_TRY(ag_decide_check(c, err));
    s->decision = (ag_decision){0};
    if (!c->decide) return AG_OK;
    s->decision.by = ag_decide_find(c->decide);
    if (s->decision.by == AG_DECIDE_THRESHOLD) s->decision.threshold = c->threshold;
    return s->decision.by == AG_DECIDE_COST ? ag_decision_read_costs(&s->decision, s->book, c->costs, err)
                                            : AG_OK;
}

ag_status ag_setup_calibration(ag_judge_setup *s, const ag_decide_choice *c, ag_error *err)
{
    char *path = NULL;
    ag_str text = {0};
    AG_TRY(ag_setup_decision(s, c, err));
    if (strcmp(c->calibration, "off") == 0) return AG_OK;
    ag_status status = ag_setup_calibration_path(&path, s, err);
    if (status == AG_OK && ag_path_exists(path)) {
        status = ag_setup_digest(s, err);
        if (status == AG_OK)
            status = ag_calibration_load(&s->calibration, &s->calibrated, s->book, s->model_digest, path,
                                         err);
        if (status == AG_OK && !c->decide) s->decision = s->calibration.decision;
        ag_decision_text(&text, &s->decision);
        if (status == AG_OK)
            ag_say("calibrated by %s: temperature %.3g, decision by %s", path, s->calibration.temperature,
                   ag_str_text(&text));
    }
    ag_str_free(&text);
    ag_free(path);
    return status;
}

ag_status ag_setup_judge(ag_judge_setup *s, const ag_model_choice *choice, ag_error *err)
{
    ag_judge_options options = {.kv_slots = (int32_t)choice->kv_slots, .max_rows = 2048};
    if (s->calibrated) options.calibration = &s->calibration;
    options.decision = &s->decision;
    AG_TRY(ag_judge_format_load(&options.format, s->opened.dir, s->opened.tokenizer, err));
    return ag_judge_create(&s->judge, s->opened.model, s->opened.tokenizer, s->book, &options, err);
}

ag_status ag_cache_check(const ag_cache_choice *cache, ag_error *err)
{
    if (cache->path || cache->megabytes == AG_CACHE_MEGABYTES) return AG_OK;
    return ag_fail(err, AG_ERR_USAGE, "--cache-mb needs --cache FILE");
}

static void warn_of_cache(ag_judge_setup *s)
{
    ag_error trouble;
    if (s->cache && ag_cache_trouble(s->cache, &trouble)) ag_warn("%s", trouble.message);
}

ag_status ag_setup_cache(ag_judge_setup *s, const ag_model_choice *choice, const ag_cache_choice *cache,
                         ag_error *err)
{
    char arithmetic[64];
    if (!cache->path) return AG_OK;
    AG_TRY(ag_setup_digest(s, err));
    snprintf(arithmetic, sizeof arithmetic, "%s %d", choice->device, (int)s->opened.model->type);
    AG_TRY(ag_cache_identity(s->identity, s->judge, s->model_digest, arithmetic, err));
    AG_TRY(ag_cache_open(&s->cache, cache->path, (int64_t)cache->megabytes << 20, err));
    warn_of_cache(s);
    return AG_OK;
}

ag_status ag_setup_run(ag_judge_setup *s, const ag_judge_input *inputs, size_t n, ag_judge_answer answer,
                       ag_judgement *out, size_t *hits, ag_error *err)
{
    ag_status status = ag_cache_judge(s->cache, s->identity, s->judge, inputs, n, answer, out, hits, err);
    warn_of_cache(s);
    return status;
}

void ag_setup_close(ag_judge_setup *s)
{
    ag_cache_close(s->cache);
    ag_judge_free(s->judge);
    ag_opened_close(&s->opened);
    ag_device_close(s->device);
    ag_lexicon_free(s->lexicon);
    ag_facts_free(s->facts);
    ag_book_free(s->book);
    *s = (ag_judge_setup){0};
}
