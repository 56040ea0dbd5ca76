/* SPDX-License-Identifier: MIT */
/*
 * contexts/table.h - every public function in every context, and what its header promises there.
 *
 * Columns: who calls
 *     task    a task of the runtime that the call is about
 *     other   a task of another runtime
 *     thread  a plain thread
 *     pool    a thread of the blocking pool
 *     qsort   a comparison function below qsort() in a task
 *     ending  a task, in a scope that has been cancelled
 *     ended   a plain thread; the runtime has been stopped
 *     atexit  a handler that runs in exit(); the runtime is the default one, which is stopping
 *     child   a forked child of a thread
 *     tchild  a forked child of a task
 *
 * Entries: what the call returns
 *     OK    at least 0, or nothing to return    NONE  the call would be misuse: there is no cell
 *     CANC  -ECANCELED                          OPEN  the header does not say: it returns
 *     SHUT  -ESHUTDOWN                          E_..  that where the runtime is current-thread,
 *     DEAD  -EOWNERDEAD                               -EINVAL where it has threads of its own;
 *     INVA  -EINVAL                                   E_DEAD there: either
 *     PROG  -EINPROGRESS
 */
#pragma once

/* clang-format off */
#define EVERY_FUNCTION(ROW) \
/*      function               task  other thread pool qsort ending ended atexit child tchild */ \
    ROW(seam_accept,             OK  , OK  , OK  , OK  , OK  , CANC, OK  , OK  , DEAD, DEAD) \
    ROW(seam_address,            OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK) \
    ROW(seam_adopt,              OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OPEN, OPEN) \
    ROW(seam_after,              OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK) \
    ROW(seam_await_fd,           OK  , OK  , OK  , OK  , OK  , CANC, OK  , OK  , DEAD, DEAD) \
    ROW(seam_block,              OK  , OK  , OK  , OK  , OK  , CANC, OK  , OK  , DEAD, DEAD) \
    ROW(seam_block_owned,        OK  , OK  , OK  , OK  , OK  , CANC, OK  , SHUT, DEAD, DEAD) \
    ROW(seam_blocking_begin,      OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK) \
    ROW(seam_blocking_end,        OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK) \
    ROW(seam_bridge_call,        OK  , OK  , OK  , OK  , OK  , CANC, DEAD, DEAD, DEAD, DEAD) \
    ROW(seam_bridge_call_owned,  OK  , OK  , OK  , OK  , OK  , CANC, DEAD, DEAD, DEAD, DEAD) \
    ROW(seam_bridge_close,       OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , DEAD, DEAD) \
    ROW(seam_bridge_free,        OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK) \
    ROW(seam_bridge_new,         OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , DEAD, DEAD) \
    ROW(seam_bridge_reopen,      OK  , OK  , OK  , OK  , OK  , OK  , SHUT, SHUT, DEAD, DEAD) \
    ROW(seam_bridge_stats_read,  OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK) \
    ROW(seam_call,               OK  , OK  , OK  , OK  , OK  , CANC, SHUT, SHUT, DEAD, DEAD) \
    ROW(seam_call_owned,         OK  , OK  , OK  , OK  , OK  , CANC, SHUT, SHUT, DEAD, DEAD) \
    ROW(seam_cancelled,          OK  , OK  , OK  , OK  , OK  , CANC, OK  , OK  , OK  , OK) \
    ROW(seam_chan_close,         OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK) \
    ROW(seam_chan_free,          OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK) \
    ROW(seam_chan_new,           OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK) \
    ROW(seam_chan_recv,          OK  , OK  , OK  , OK  , OK  , CANC, OK  , OK  , DEAD, DEAD) \
    ROW(seam_chan_send,          OK  , OK  , OK  , OK  , OK  , CANC, OK  , OK  , DEAD, DEAD) \
    ROW(seam_close,              OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK) \
    ROW(seam_connect,            OK  , OK  , OK  , OK  , OK  , CANC, OK  , OK  , DEAD, DEAD) \
    ROW(seam_errno_location,     OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK) \
    ROW(seam_event_init,         OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK) \
    ROW(seam_event_reset,        OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK) \
    ROW(seam_event_set,          OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK) \
    ROW(seam_event_wait,         OK  , OK  , OK  , OK  , OK  , CANC, OK  , OK  , DEAD, DEAD) \
    ROW(seam_fail,               OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK) \
    ROW(seam_job_class_new,      OK  , OK  , OK  , OK  , OK  , OK  , SHUT, SHUT, DEAD, DEAD) \
    ROW(seam_job_class_stats_read, OK, OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK) \
    ROW(seam_join,               OK  , OK  , OK  , OK  , OK  , CANC, NONE, OK  , DEAD, DEAD) \
    ROW(seam_listen,             OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OPEN, OPEN) \
    ROW(seam_mutex_init,         OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK) \
    ROW(seam_mutex_lock,         OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK) \
    ROW(seam_mutex_unlock,       OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK) \
    ROW(seam_now_ns,             OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK) \
    ROW(seam_pin_begin,          OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK) \
    ROW(seam_pin_end,            OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK) \
    ROW(seam_read,               OK  , OK  , OK  , OK  , OK  , CANC, OK  , OK  , DEAD, DEAD) \
    ROW(seam_release,            OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OPEN, OPEN) \
    ROW(seam_run,                OK  , OK  , OK  , OK  , OK  , CANC, OK  , OK  , DEAD, DEAD) \
    ROW(seam_runtime_default,    OK  , OK  , OK  , OK  , OK  , OK  , OK  , SHUT, DEAD, DEAD) \
    ROW(seam_runtime_fd,         E_OK, E_OK, E_OK, E_OK, E_OK, E_OK, E_SHUT, INVA, E_DEAD, E_DEAD) \
    ROW(seam_runtime_free,       OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK) \
    ROW(seam_runtime_jobs,       OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK) \
    ROW(seam_runtime_new,        OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , DEAD, DEAD) \
    ROW(seam_runtime_poll,       E_DLCK, E_OK, E_OK, E_BUSY, E_DLCK, E_DLCK, E_SHUT, INVA, E_DEAD, E_DEAD) \
    ROW(seam_runtime_root,       OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK) \
    ROW(seam_runtime_stats_read, OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK) \
    ROW(seam_runtime_stop,       PROG, OK  , OK  , PROG, PROG, PROG, OK  , OK  , DEAD, DEAD) \
    ROW(seam_scope_begin,        OK  , OK  , OK  , OK  , OK  , OK  , SHUT, SHUT, DEAD, DEAD) \
    ROW(seam_scope_cancel,       OK  , OK  , OK  , OK  , OK  , OK  , NONE, OK  , DEAD, DEAD) \
    ROW(seam_scope_end,          OK  , OK  , OK  , OK  , OK  , CANC, NONE, CANC, DEAD, DEAD) \
    ROW(seam_semaphore_acquire,  OK  , OK  , OK  , OK  , OK  , CANC, OK  , OK  , DEAD, DEAD) \
    ROW(seam_semaphore_init,     OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK) \
    ROW(seam_semaphore_post,     OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , DEAD, DEAD) \
    ROW(seam_shield_begin,       OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK) \
    ROW(seam_shield_end,         OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK) \
    ROW(seam_shutdown,           OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK) \
    ROW(seam_sleep,              OK  , OK  , OK  , OK  , OK  , CANC, OK  , OK  , DEAD, DEAD) \
    ROW(seam_spawn,              OK  , OK  , OK  , OK  , OK  , OK  , SHUT, SHUT, DEAD, DEAD) \
    ROW(seam_stop_report_print,  OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK) \
    ROW(seam_task_name,          OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OK  , OPEN) \
    ROW(seam_write,              OK  , OK  , OK  , OK  , OK  , CANC, OK  , OK  , DEAD, DEAD) \
    ROW(seam_yield,              OK  , OK  , OK  , OK  , OK  , CANC, OK  , OK  , DEAD, DEAD)
/* clang-format on */
