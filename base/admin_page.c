/* See admin_page.h. The bytes come from a header that tools/embed.cmake writes. Scripts and styles come from these
 * files alone, and nobody may frame the page: the policy says so to the browser. */
#include "base/admin_page.h"

#include "admin_page_embedded.h"

#define POLICY                                                                                                         \
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "           \
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"                                  \
    "Referrer-Policy: no-referrer\r\nCross-Origin-Opener-Policy: same-origin"

struct file {
    const char *content_type;
    const unsigned char *data;
    size_t size;
};

static void answer_file(void *context, struct http_answer *answer) {
    const struct file *file = context;
    answer->content_type = file->content_type;
    answer->extra_header = POLICY;
    buffer_append_span(&answer->body, span_of(file->data, file->size));
}

static void answer_redirect(void *context, struct http_answer *answer) {
    (void) context;
    answer->status = 301;
    answer->content_type = NULL;
    answer->extra_header = "Location: /admin/";
}

#define HTML   "text/html; charset=utf-8"
#define CSS    "text/css; charset=utf-8"
#define SCRIPT "text/javascript; charset=utf-8"
#define FILE_OF(type, symbol)                                                                                          \
    { type, symbol, sizeof symbol - 1 }

const struct http_endpoint *admin_page_endpoints(size_t *ret_n, char *ret_error, size_t error_size) {
    static struct file page = FILE_OF(HTML, embedded_admin_html), style = FILE_OF(CSS, embedded_admin_css),
                       script = FILE_OF(SCRIPT, embedded_admin_js), figures = FILE_OF(SCRIPT, embedded_figures_js),
                       panels = FILE_OF(SCRIPT, embedded_panels_js), charts = FILE_OF(SCRIPT, embedded_charts_js),
                       operations = FILE_OF(SCRIPT, embedded_operations_js),
                       plot = FILE_OF(SCRIPT, embedded_uPlot_iife_min_js),
                       plot_style = FILE_OF(CSS, embedded_uPlot_min_css),
                       icon = FILE_OF("image/svg+xml", embedded_icon_svg);
    static const struct http_endpoint endpoints[] = {
        {"/admin", answer_redirect, NULL, true},
        {"/admin/", answer_file, &page, true},
        {"/admin/admin.css", answer_file, &style, true},
        {"/admin/admin.js", answer_file, &script, true},
        {"/admin/figures.js", answer_file, &figures, true},
        {"/admin/panels.js", answer_file, &panels, true},
        {"/admin/charts.js", answer_file, &charts, true},
        {"/admin/operations.js", answer_file, &operations, true},
        {"/admin/uplot.js", answer_file, &plot, true},
        {"/admin/uplot.css", answer_file, &plot_style, true},
        {"/admin/icon.svg", answer_file, &icon, true},
    };
    (void) ret_error;
    (void) error_size;
    *ret_n = sizeof endpoints / sizeof endpoints[0];
    return endpoints;
}
