/* train_hooks.c: see train_hooks.h. */
#include "cli/train_hooks.h"

#include <stdio.h>

#include "cli/interrupt.h"

const char *ag_train_view_label(ag_train_view *view, const char *label)
{
    if (!view->task) return label;
    snprintf(view->label, sizeof view->label, "%s: %s", view->task, label);
    return view->label;
}

static void say(void *user, const char *line)
{
    const ag_train_view *view = user;
    if (!view->brief) ag_say("%s", line);
}

static void begin(void *user, const char *label, double total, double done)
{
    ag_train_view *view = user;
    ag_progress_begin(&view->bar, ag_train_view_label(view, label), total, done);
}

static void progress(void *user, double done, const char *note)
{
    ag_train_view *view = user;
    ag_progress_update(&view->bar, done, note);
}

static void end(void *user)
{
    ag_train_view *view = user;
    ag_progress_end(&view->bar, NULL);
}

static bool stop(void *user)
{
    (void)user;
    return ag_interrupted();
}

ag_train_hooks ag_train_hooks_of(ag_train_view *view)
{
    return (ag_train_hooks){view, say, begin, progress, end, stop};
}
