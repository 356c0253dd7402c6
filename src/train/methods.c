/* methods.c: the table of methods. */
#include "train/methods.h"

#include <string.h>
#include "base/str.h"

enum {
    IMITATES = AG_METHOD_IMITATES,
    SAMPLES = AG_METHOD_SAMPLES,
    ADVANTAGES = AG_METHOD_SAMPLES | AG_METHOD_ADVANTAGES | AG_METHOD_REFERS,
    GATES = AG_METHOD_GATES,
    REPLAYS = AG_METHOD_REPLAYS,
    WEIGHS = AG_METHOD_REPLAYS | AG_METHOD_WEIGHS,
    PREFERS = AG_METHOD_SAMPLES | AG_METHOD_PREFERS | AG_METHOD_REFERS
};

const ag_method ag_methods[] = {
    {"sft", "supervised fine-tuning on the gold answers of the training pairs", IMITATES, false, false, false,
     AG_HINT_OWN},
    {"sft+", "the same on the pool's gold answers: what the pool's labels give without sampling", IMITATES,
     false, false, true, AG_HINT_OWN},
    {"rft", "fine-tuning on sampled answers that are right and consistent, those with hints too",
     SAMPLES | REPLAYS, false, true, false, AG_HINT_OWN},
    {"dpo", "preference of a right and consistent sampled answer over another", PREFERS, false, true, false,
     AG_HINT_OWN},
    {"dpo-gold", "preference of the pool's gold answer over a sampled one that is not right and consistent",
     PREFERS, false, true, true, AG_HINT_OWN},
    {"grpo", "reinforcement learning, reward for the tier alone", ADVANTAGES, false, false, false,
     AG_HINT_OWN},
    {"grpo-pr", "the same with a dense reward: tier, criteria and rule", ADVANTAGES, true, false, false,
     AG_HINT_OWN},
    {"rrs", "dense reward and hard gate: rule-aware reward shaping", ADVANTAGES | GATES, true, true, false,
     AG_HINT_OWN},
    {"agr", "reward for the tier alone, and replay with hints where all answers fail: adaptive guided replay",
     ADVANTAGES | WEIGHS, false, false, false, AG_HINT_OWN},
    {"agr-shuffled", "agrl with the hint of another prompt: what replay does without guidance",
     ADVANTAGES | GATES | WEIGHS, true, true, false, AG_HINT_SHUFFLED},
    {"agrl", "shaping, gate and guided replay together: TaoSR-AGRL", ADVANTAGES | GATES | WEIGHS, true, true,
     false, AG_HINT_OWN},
    {NULL, NULL, 0, false, false, false, AG_HINT_OWN},
};

const ag_method *ag_method_find(const char *name)
{
    for (const ag_method *m = ag_methods; m->name; m++)
        if (strcmp(m->name, name) == 0) return m;
    return NULL;
}

ag_status ag_method_unknown(const char *name, const char *where, ag_error *err)
{
    ag_str known = {0};
    for (const ag_method *m = ag_methods; m->name; m++)
        ag_str_addf(&known, "%s%s", m == ag_methods ? "" : ", ", m->name);
    ag_status status = ag_fail(err, AG_ERR_USAGE, "%s: unknown method '%s'; known: %s", where, name,
                               ag_str_text(&known));
    ag_str_free(&known);
    return status;
}
