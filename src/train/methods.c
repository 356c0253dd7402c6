/* methods.c: the table of methods. */
#include "train/methods.h"

#include <string.h>
#include "base/str.h"

const ag_method ag_methods[] = {
    {"sft", "supervised fine-tuning on gold answers", AG_METHOD_SFT, false, false},
    {"grpo", "reinforcement learning, reward for the tier alone", AG_METHOD_POLICY, false, false},
    {"grpo-pr", "the same with a dense reward: tier, criteria and rule", AG_METHOD_POLICY, true, false},
    {"rrs", "dense reward and hard gate: rule-aware reward shaping", AG_METHOD_POLICY, true, true},
    {NULL, NULL, AG_METHOD_SFT, false, false},
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
