/* What the files of callboardctl top share and nobody else includes.
 *
 *   ctl_top.c          arguments, the loop                ctl_top_reading.c   /metrics as figures
 *   ctl_top_sample.c   programs and channels, asked       ctl_top_view.c      what is shown, as text and as JSON
 *   ctl_top_screen.c   the terminal, keys, signals
 */
#ifndef CALLBOARD_TOOLS_CTL_TOP_PARTS_H
#define CALLBOARD_TOOLS_CTL_TOP_PARTS_H

#include "tools/ctl.h"
#include "tools/ctl_top_reading.h"

enum { TOP_PROGRAMS_MAX = 64, TOP_CHANNELS_MAX = 20, TOP_NAME_MAX = 255 };

/* An internal listener: a gateway's, a broker's, or the appliance's, which is both. */
struct top_program {
    const char *url;
    bool is_guess; /* nobody named it: shown only when it answers */
    bool is_there;
    char kind[16]; /* "gateway", "broker", "appliance" */
    char name[64];
    char version[32];
    char status[16]; /* of /health */
    char error[160]; /* why it is not there */
    uint64_t n_findings;
    struct top_reading now;
    struct top_reading before;
};

struct top_channel {
    char name[TOP_NAME_MAX + 1];
    uint64_t n_subscribers;
    bool has_answer; /* its broker answered for it */
    uint64_t answer_us;
    bool has_position;
    uint64_t offset;
    uint64_t at_us;
    bool has_rate;
    double rate; /* publications a second */
};

struct top {
    const struct ctl_options *options;
    char *token; /* of the internal listeners; "" for none */
    struct top_program programs[TOP_PROGRAMS_MAX];
    size_t n_programs;
    backend_client_t *client;
    struct top_channel channels[TOP_CHANNELS_MAX];
    size_t n_channels;
    size_t n_channels_in_all;
    char channels_error[256]; /* "": they are known */
    unsigned n_samples;
};

/* ---- ctl_top_sample.c ---- */
/* Asks every program, unless `is_over` says that nobody waits for it any more. */
void top_sample_programs(struct top *self, bool (*is_over)(void));
/* Asks the backend API which channels have the most subscribers, now and then, and how fast it answers for each. */
void top_sample_channels(struct top *self, bool (*is_over)(void));

/* ---- ctl_top_view.c ---- */
/* At most `height` lines of at most `width` columns. */
void top_append_text(const struct top *self, size_t width, size_t height, struct buffer *out);
/* One line. */
void top_append_json(const struct top *self, struct buffer *out);

/* ---- ctl_top_screen.c ---- */
/* Standard output is a terminal: takes the other screen, and the keys where standard input is one, too. */
void top_screen_open(void);
/* Gives everything back; harmless when nothing was taken. */
void top_screen_close(void);
void top_screen_size(size_t *ret_width, size_t *ret_height);
void top_screen_show(const struct buffer *text);
/* q was pressed, or a signal said to end. */
bool top_screen_is_over(void);
/* Until the time is over, or sooner when the view is to be drawn anew (true) or it is to end (false). */
bool top_screen_wait(uint64_t until_ms);
/* Signals end the loop, also where there is no terminal. */
void top_screen_catch_signals(void);

#endif
