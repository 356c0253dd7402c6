/* report_page.c: the small pieces that every part of the report is written with. */
#include "eval/report_page.h"

#include <math.h>
#include <string.h>

void ag_page_textn(ag_page *page, const char *text, size_t n)
{
    static const struct {
        char c;
        const char *as;
    } escapes[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&#39;"}};
    for (size_t at = 0; at < n;) {
        char put[4];
        const char *as = NULL;
        uint32_t c = ag_utf8_next(text, n, &at);
        if ((c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7F && c < 0xA0)) c = 0xFFFD;
        for (size_t e = 0; e < sizeof escapes / sizeof escapes[0]; e++)
            if (c == (uint32_t)escapes[e].c) as = escapes[e].as;
        if (as)
            ag_str_add(&page->out, as);
        else
            ag_str_addn(&page->out, put, (size_t)ag_utf8_put(c, put));
    }
}

void ag_page_text(ag_page *page, const char *text)
{
    if (text) ag_page_textn(page, text, strlen(text));
}

void ag_page_number(ag_page *page, double x, int digits)
{
    if (!isfinite(x))
        ag_str_add(&page->out, "<span class=\"none\">\u2013</span>");
    else
        ag_str_addf(&page->out, "%.*f", digits, x);
}

bool ag_page_link(ag_page *page, const char *key)
{
    for (size_t i = 0; key && i < page->set_count; i++) {
        if (strcmp(page->sets[i].key, key) != 0) continue;
        if (page->sets[i].count == 0) return false;
        ag_str_addf(&page->out, "<a class=\"n\" href=\"#s-%s\">", key);
        return true;
    }
    return false;
}

void ag_page_count(ag_page *page, double n, const char *key)
{
    bool link = ag_page_link(page, key);
    if (isfinite(n)) ag_str_addf(&page->out, "%.0f", n);
    if (link) ag_str_add(&page->out, "</a>");
}

void ag_page_tier(ag_page *page, int tier)
{
    const ag_book *book = page->records->book;
    if (tier < 0) {
        ag_str_add(&page->out, "<span class=\"none\">none</span>");
        return;
    }
    ag_str_addf(&page->out, "<span class=\"tier\" style=\"--t:%.3f\" title=\"",
                (double)tier / (book->tier_count > 1 ? book->tier_count - 1 : 1));
    ag_page_text(page, book->tiers[tier].name);
    ag_str_add(&page->out, "\">");
    ag_page_text(page, book->tiers[tier].id);
    ag_str_add(&page->out, "</span>");
}

double ag_page_real(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

const char *ag_page_string(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}
