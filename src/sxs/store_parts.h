/* store_parts.h: what the files of the study's store share. Private to sxs/. */
#ifndef AG_SXS_STORE_PARTS_H
#define AG_SXS_STORE_PARTS_H

#include <pthread.h>
#include "sxs/db.h"
#include "sxs/store.h"

enum {
    AG_SXS_FORMAT = 1,
    AG_SXS_APPLICATION = 0x61677378
}; /* user_version and application_id of a study's file */

struct ag_sxs_store {
    ag_sxs_db db;
    char *path;
    pthread_mutex_t mutex;    /* one caller at a time */
    ag_sxs_settings settings; /* names belong to `texts` */
    ag_arena texts;
};

/* The tasks' tables: what a study is made of and what is added to it. */
extern const char ag_sxs_schema[];

#endif
