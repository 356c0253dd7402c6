/* report.c: report.html as a whole. Nothing in it comes from the clock or the machine: the same input gives
 * the same bytes.
 */
#include "eval/report.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "eval/report_page.h"

/* Nothing is fetched, and nothing but the page's own style and script runs. */
static const char policy[] =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";

void ag_page_open(ag_page *page)
{
    ag_str *out = &page->out;
    const char *title = page->input->title ? page->input->title : "agrl report";
    ag_str_addf(out,
                "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                "<meta http-equiv=\"Content-Security-Policy\" content=\"%s\">\n"
                "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                "<meta name=\"color-scheme\" content=\"light dark\">\n<title>",
                policy);
    ag_page_text(page, title);
    ag_str_add(out, "</title>\n<style>\n");
    ag_str_add(out, ag_report_style);
    ag_str_add(out, "</style>\n</head>\n<body>\n<header><h1>");
    ag_page_text(page, title);
    ag_str_add(out, "</h1>\n");
}

static void page_facts(ag_page *page)
{
    ag_str *out = &page->out;
    const json_t *m = page->metrics, *book = json_object_get(m, "rulebook");
    if (!m) return;
    ag_str_add(out, "<p class=\"meta\"><span>rulebook <b>");
    ag_page_text(page, ag_page_string(book, "name"));
    ag_str_addc(out, ' ');
    ag_page_text(page, ag_page_string(book, "version"));
    ag_str_addf(out,
                "</b></span><span><b>%.0f</b> pairs</span><span><b>%.0f</b> with "
                "gold</span><span><b>%.0f</b> query groups</span>"
                "<span><b>%.0f</b> generated answers</span></p>\n",
                ag_page_real(m, "records"), ag_page_real(m, "gold"), ag_page_real(m, "groups"),
                ag_page_real(m, "answered"));
}

void ag_page_nav(ag_page *page, const char *body, const ag_page_section *sections, size_t count)
{
    ag_str_add(&page->out, "<nav aria-label=\"Sections\">");
    for (size_t i = 0; i < count; i++) {
        char mark[48];
        snprintf(mark, sizeof mark, "<section id=\"%s\">", sections[i].id);
        if (strstr(body, mark))
            ag_str_addf(&page->out, "<a href=\"#%s\">%s</a>", sections[i].id, sections[i].title);
    }
    ag_str_add(&page->out, "</nav></header>\n<main>\n");
}

void ag_page_settings(ag_page *page)
{
    if (!page->input->config_yaml) return;
    ag_str_add(&page->out, "<section id=\"settings\"><h2>Settings</h2><details><summary>The run\u2019s "
                           "resolved settings</summary><pre>");
    ag_page_text(page, page->input->config_yaml);
    ag_str_add(&page->out, "</pre></details></section>\n");
}

/* The sections, into page->out, which is empty before. */
static ag_status page_body(ag_page *page, ag_error *err)
{
    ag_page_tiles(page);
    ag_page_overall(page);
    ag_page_against(page);
    ag_page_tiers(page);
    ag_page_criteria(page);
    ag_page_calibration(page);
    ag_status status = ag_page_curves(page, err);
    if (status) return status;
    ag_page_raters(page);
    ag_page_slices(page);
    ag_page_queries(page);
    ag_page_examples(page);
    ag_page_settings(page);
    ag_page_index(page);
    return ag_str_ok(&page->out, err);
}

ag_status ag_page_finish(ag_page *page, const ag_str *body, const char *path, ag_error *err)
{
    ag_out *file;
    ag_str_addn(&page->out, ag_str_text(body), body->len);
    ag_str_add(&page->out, "</main>\n<footer>Made by agrl " AGRL_VERSION
                           ". This page fetches nothing.</footer>\n<script>\n");
    ag_str_add(&page->out, ag_report_script);
    ag_str_add(&page->out, "</script>\n</body>\n</html>\n");
    ag_status status = ag_str_ok(&page->out, err);
    if (!status) status = ag_out_open(&file, path, err);
    if (status) return status;
    ag_out_write(file, ag_str_text(&page->out), page->out.len);
    return ag_out_commit(file, err);
}

ag_status ag_report_write(const char *path, const ag_report_input *input, ag_error *err)
{
    static const ag_page_section sections[] = {
        {"metrics", "Metrics"},   {"against", "Against"},         {"tiers", "Tiers"},
        {"criteria", "Criteria"}, {"calibration", "Calibration"}, {"curves", "Curves"},
        {"raters", "Raters"},     {"slices", "Slices"},           {"queries", "Queries"},
        {"examples", "Examples"}, {"settings", "Settings"}};
    ag_page page = {.input = input, .records = input->records, .metrics = input->metrics};
    ag_str body = {0};
    ag_status status = AG_OK;
    if (page.records && page.records->count == 0) page.records = NULL;
    if (page.records) status = ag_page_rows_prepare(&page, err);
    if (page.records && !status) status = ag_page_sets_prepare(&page, err);
    if (!status) status = page_body(&page, err);
    if (status) goto out;
    body = page.out; /* the head names the sections, so it is written when they are known */
    page.out = (ag_str){0};
    ag_page_open(&page);
    page_facts(&page);
    ag_page_nav(&page, ag_str_text(&body), sections, sizeof sections / sizeof *sections);
    status = ag_page_finish(&page, &body, path, err);
out:
    ag_str_free(&body);
    ag_page_release(&page);
    return status;
}
