/* case.c: the few constants and operations of what a rulebook looks at. */
#include "rules/case.h"

#include <string.h>

const char *const ag_op_names[6] = {"is", "not", "at_most", "at_least", "between", "like"};

void ag_verdicts_clear(ag_verdicts *verdicts)
{
    memset(verdicts->v, -1, sizeof(verdicts->v)); /* all bits set is -1 in every entry */
}
