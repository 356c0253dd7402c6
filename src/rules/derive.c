/* derive.c: from verdicts to the tier and the rule that decides it. */
#include "rules/when.h"

bool ag_verdicts_complete(const ag_book *book, const ag_asked *asked, const ag_verdicts *verdicts)
{
    for (int c = 0; c < book->criterion_count; c++) {
        int needed = book->criteria[c].per_asked ? asked->count : 1;
        for (int a = 0; a < needed; a++)
            if (verdicts->v[c][a] < 0 || verdicts->v[c][a] >= book->criteria[c].verdict_count) return false;
    }
    return true;
}

void ag_derive(const ag_book *book, const ag_asked *asked, const ag_verdicts *verdicts, int *tier, int *rule)
{
    int worst = -1, decides = -1, otherwise = -1;
    for (int i = 0; i < book->rule_count; i++) {
        const ag_rule *r = &book->rules[i];
        if (!r->condition)
            otherwise = i;
        else if (r->cap > worst && ag_when_holds(r->condition, asked, verdicts))
            worst = r->cap, decides = i; /* a later rule decides only with a worse cap */
    }
    if (decides < 0 && otherwise >= 0) worst = book->rules[otherwise].cap, decides = otherwise;
    *tier = worst < 0 ? 0 : worst;
    *rule = decides;
}
