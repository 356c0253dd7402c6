/* facts_help.h: books and facts files from text, for the tests of facts, comparison and parser. */
#ifndef AG_TESTS_FACTS_HELP_H
#define AG_TESTS_FACTS_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include "rules/compare.h"

#define SHOP_BOOK  AGRL_SOURCE_DIR "/rules/shop.yaml"
#define SHOP_FACTS AGRL_SOURCE_DIR "/rules/facts/shop.yaml"

/* A book with these attribute rows (YAML, indented by two). */
static inline ag_book *help_book(const char *attributes)
{
    ag_str text = {0};
    ag_book *book = NULL;
    ag_error err = {0};
    ag_str_add(
        &text,
        "rulebook: t\nversion: \"1\"\nlanguage: en\norder: respond_then_think\nwhy: none\ninstruction: "
        "Judge.\n"
        "tiers:\n  - {id: \"3\", name: a, gain: 3, good: true}\n  - {id: \"2\", name: b, gain: 1, good: "
        "false}\n"
        "  - {id: \"1\", name: c, gain: 0, good: false}\n"
        "criteria:\n"
        "  - {id: cat, name: category, verdicts: [SAME, SUB, COMP, DIFF], weight: 0.2, from: category,\n"
        "     map: {same: SAME, narrower: SAME, sibling: SUB, related: COMP, else: DIFF}}\n"
        "  - {id: attr, name: attribute, per: asked, verdicts: [MATCH, PARTIAL, UNKNOWN, CONFLICT], weight: "
        "0.2,\n"
        "     from: attribute, map: {equal: MATCH, near: PARTIAL, missing: UNKNOWN, other: CONFLICT}}\n"
        "attributes:\n  default: {importance: minor, compare: text}\n");
    ag_str_add(&text, attributes);
    ag_str_add(&text, "rules:\n  - {id: R1, when: \"cat == DIFF\", cap: \"1\", text: other need}\n"
                      "  - {id: R2, when: \"any(attr) == CONFLICT\", cap: \"2\", text: conflict}\n"
                      "  - {id: R0, when: otherwise, cap: \"3\", text: fine}\n"
                      "reward: {tier: 1.0, rule: 0.1, format_penalty: 0.5}\n");
    if (ag_book_parse(&book, ag_str_text(&text), text.len, "t.yaml", &err) != AG_OK)
        fail_msg("%s", err.message);
    ag_str_free(&text);
    return book;
}

/* Writes text to a file of its own and returns the path (static). */
static inline const char *help_file(const void *bytes, size_t n)
{
    static char path[] = "/tmp/agrl-facts-XXXXXX", name[sizeof path];
    memcpy(name, path, sizeof path);
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, n), n);
    close(fd);
    return name;
}

static inline ag_status help_load(ag_facts **facts, const char *text, ag_error *err)
{
    const char *path = help_file(text, strlen(text));
    ag_status status = ag_facts_load(facts, path, err);
    unlink(path);
    return status;
}

static inline ag_facts *help_facts(const char *text)
{
    ag_facts *facts = NULL;
    ag_error err = {0};
    if (help_load(&facts, text, &err) != AG_OK) fail_msg("%s", err.message);
    return facts;
}

#endif
