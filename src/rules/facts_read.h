/* facts_read.h: what the files that read a facts file share. Private to rules/. */
#ifndef AG_RULES_FACTS_READ_H
#define AG_RULES_FACTS_READ_H

#include "base/yaml.h"
#include "rules/facts_table.h"

/* A text or a list of texts, none empty, copied into the facts' arena. `what` names them in messages. */
ag_status ag_facts_read_texts(ag_facts *f, const ag_yaml *node, const char *what, const char ***texts,
                              int *count, ag_error *err);
ag_status ag_facts_need_map(const ag_facts *f, const ag_yaml *node, const char *what, ag_error *err);
/* The section `categories`: new ones, and what is added to those of the base. */
ag_status ag_facts_read_categories(ag_facts *f, const ag_yaml *node, ag_error *err);

#endif
