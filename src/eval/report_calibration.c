/* report_calibration.c: the reliability diagram: accuracy against confidence, and how many rows each bin
 * holds.
 */
#include <math.h>

#include "eval/report_page.h"

enum {
    LEFT = 44,
    TOP = 10,
    SIDE = 300,
    GAP = 16,
    BARS = 56,
    WIDTH = LEFT + SIDE + 12,
    HEIGHT = TOP + SIDE + GAP + BARS + 36
};

static void grid(ag_page *page)
{
    ag_str *out = &page->out;
    for (int i = 0; i <= 4; i++) {
        double at = i / 4.0, y = TOP + SIDE * (1 - at), x = LEFT + SIDE * at;
        ag_str_addf(out,
                    "<line class=\"grid\" x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\"/>"
                    "<text class=\"tick\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.2f</text>"
                    "<text class=\"tick\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.2f</text>\n",
                    LEFT, y, LEFT + SIDE, y, LEFT - 6, y + 4, at, x, HEIGHT - 20, at);
    }
    ag_str_addf(out,
                "<text class=\"tick\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">confidence</text>"
                "<text class=\"tick\" transform=\"translate(12 %d) rotate(-90)\" "
                "text-anchor=\"middle\">accuracy</text>\n",
                LEFT + SIDE / 2, HEIGHT - 4, TOP + SIDE / 2);
}

/* Drawn after the bars, which would hide it. */
static void diagonal(ag_page *page)
{
    ag_str_addf(&page->out, "<line class=\"diagonal\" x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\"/>\n", LEFT,
                TOP + SIDE, LEFT + SIDE, TOP);
}

static void bin_bars(ag_page *page, const json_t *bin, size_t b, double most)
{
    ag_str *out = &page->out;
    char key[40];
    double n = ag_page_real(bin, "records"), accuracy = ag_page_real(bin, "accuracy");
    double confidence = ag_page_real(bin, "confidence"), wide = (double)SIDE / AG_CALIBRATION_BINS;
    double x = LEFT + wide * (double)b, tall = BARS * n / most;
    if (!(n > 0)) return;
    snprintf(key, sizeof key, "bin-%u", (unsigned)b);
    bool link = ag_page_link(page, key);
    ag_str_addf(out,
                "<g><title>confidence %.2f to %.2f: %.0f rows, mean confidence %.3f, accuracy %.3f</title>",
                ag_page_real(bin, "low"), ag_page_real(bin, "high"), n, confidence, accuracy);
    ag_str_addf(out, "<rect class=\"hitbar\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>", x + 1,
                TOP + SIDE * (1 - accuracy), wide - 2, SIDE * accuracy);
    ag_str_addf(out, "<rect class=\"gap\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>", x + 1,
                TOP + SIDE * (1 - fmax(accuracy, confidence)), wide - 2, SIDE * fabs(accuracy - confidence));
    ag_str_addf(out,
                "<rect class=\"countbar\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/></g>%s\n",
                x + 1, TOP + SIDE + GAP + BARS - tall, wide - 2, tall, link ? "</a>" : "");
}

static void bin_table(ag_page *page, const json_t *bins)
{
    size_t b;
    json_t *bin;
    char key[40];
    ag_str_add(
        &page->out,
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Calibration "
        "bins\"><table><thead><tr>"
        "<th scope=\"col\">confidence</th><th scope=\"col\" class=\"num\">rows</th>"
        "<th scope=\"col\" class=\"num\">mean confidence</th><th scope=\"col\" class=\"num\">accuracy</th>"
        "<th scope=\"col\" class=\"num\">gap</th></tr></thead><tbody>\n");
    json_array_foreach(bins, b, bin)
    {
        double n = ag_page_real(bin, "records"),
               gap = ag_page_real(bin, "accuracy") - ag_page_real(bin, "confidence");
        if (!(n > 0)) continue;
        snprintf(key, sizeof key, "bin-%u", (unsigned)b);
        ag_str_addf(&page->out, "<tr><th scope=\"row\">%.2f\u2009\u2013\u2009%.2f</th><td class=\"num\">",
                    ag_page_real(bin, "low"), ag_page_real(bin, "high"));
        ag_page_count(page, n, key);
        ag_str_addf(
            &page->out,
            "</td><td class=\"num\">%.3f</td><td class=\"num\">%.3f</td><td class=\"num\">%+.3f</td></tr>\n",
            ag_page_real(bin, "confidence"), ag_page_real(bin, "accuracy"), gap);
    }
    ag_str_add(&page->out, "</tbody></table></div>\n");
}

void ag_page_calibration(ag_page *page)
{
    const json_t *bins = json_object_get(page->metrics, "calibration");
    ag_str *out = &page->out;
    double most = 0, sure = 0, total = 0;
    size_t b;
    json_t *bin;
    json_array_foreach(bins, b, bin)
    {
        double n = ag_page_real(bin, "records");
        most = fmax(most, n);
        total += n;
        sure += n > 0 ? n * (ag_page_real(bin, "confidence") - ag_page_real(bin, "accuracy")) : 0;
    }
    if (!(most > 0)) return;
    ag_str_addf(out,
                "<section id=\"calibration\"><h2>Calibration</h2><div class=\"side\"><figure><svg "
                "viewBox=\"0 0 %d %d\" role=\"img\" "
                "aria-label=\"Reliability diagram: accuracy against confidence in %d bins; the same numbers "
                "stand in the table\">\n",
                WIDTH, HEIGHT, AG_CALIBRATION_BINS);
    grid(page);
    json_array_foreach(bins, b, bin) bin_bars(page, bin, b, most);
    diagonal(page);
    ag_str_addf(
        out,
        "</svg><figcaption>Bars: accuracy of the rows in each bin of confidence. On the diagonal the "
        "judge is as right as it is sure; the pale part is the gap. Below: rows in each bin. Over all rows "
        "its confidence lies %.3f %s its accuracy.</figcaption></figure>\n",
        fabs(sure / total), sure >= 0 ? "above" : "below");
    bin_table(page, bins);
    ag_str_add(out, "</div></section>\n");
}
