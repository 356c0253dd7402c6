/* judge_open.c: see judge_open.h. */
#include "cli/judge_open.h"

#include <string.h>
#include "base/file.h"
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

ag_status ag_setup_judge(ag_judge_setup *s, const ag_model_choice *choice, ag_error *err)
{
    ag_judge_options options = {.kv_slots = (int32_t)choice->kv_slots, .max_rows = 2048};
    AG_TRY(ag_judge_format_load(&options.format, s->opened.dir, s->opened.tokenizer, err));
    return ag_judge_create(&s->judge, s->opened.model, s->opened.tokenizer, s->book, &options, err);
}

void ag_setup_close(ag_judge_setup *s)
{
    ag_judge_free(s->judge);
    ag_opened_close(&s->opened);
    ag_device_close(s->device);
    ag_lexicon_free(s->lexicon);
    ag_facts_free(s->facts);
    ag_book_free(s->book);
    *s = (ag_judge_setup){0};
}
