/* fuzz_yaml.c: any bytes as YAML: a tree in which every node has its place, or one error. What we quote reads back. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/yaml.h"

static void walk(const ag_yaml *node)
{
    if (node->line < 1 || node->column < 1 || (node->kind == AG_YAML_SCALAR) != (node->text != NULL)) abort();
    if (node->kind == AG_YAML_SCALAR && strlen(node->text) != node->len) abort();
    for (int i = 0; i < node->count; i++) {
        if (node->kind == AG_YAML_MAP && ag_yaml_get(node, node->keys[i]->text) != node->values[i]) abort();
        walk(node->values[i]);
    }
}

/* The text as a quoted scalar, where it can be one. */
static void quote(const char *text)
{
    ag_arena arena = {.name = "fuzz"};
    ag_yaml *root;
    ag_str s = {0};
    const char *value;
    ag_str_add(&s, "key: ");
    ag_yaml_quote(&s, text);
    ag_str_addc(&s, '\n');
    ag_error err = {0};
    if (ag_yaml_parse(&root, &arena, ag_str_text(&s), s.len, "quoted", &err) != AG_OK) abort();
    if (ag_yaml_string(ag_yaml_get(root, "key"), "quoted", "key", &value, &err) != AG_OK) abort();
    if (strcmp(value, text) != 0) abort();
    ag_str_free(&s);
    ag_arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ag_arena arena = {.name = "fuzz"};
    ag_yaml *root = NULL;
    ag_error err = {0};
    ag_status status = ag_yaml_parse(&root, &arena, (const char *)data, size, "fuzz.yaml", &err);
    if (status == AG_OK) {
        walk(root);
        if (root->kind == AG_YAML_MAP && root->count > 0 && root->values[0]->kind == AG_YAML_SCALAR)
            quote(root->values[0]->text);
    } else if (status != AG_ERR_INPUT || !err.message[0]) {
        abort();
    }
    ag_arena_free(&arena);
    return 0;
}
