/* SPDX-License-Identifier: MIT */
/*
 * go/doors.c - the C side of the Go peer's doors: threads that Go did not start.
 */
#include <pthread.h>

#include "_cgo_export.h"

enum { CALLERS_MAX = 8 };

static void *call_many(void *arg)
{
    for (long i = 0; i < *(const long *)arg; i++)
        (void)goCall(0);
    return NULL;
}

int bench_trivial(int value)
{
    return value + 1;
}

int bench_call_back(int value)
{
    return goCall(value);
}

int bench_call_from_threads(int callers, long calls_each)
{
    pthread_t threads[CALLERS_MAX];

    for (int i = 0; i < callers; i++) {
        if (pthread_create(&threads[i], NULL, call_many, &calls_each) != 0) return -1;
    }
    for (int i = 0; i < callers; i++)
        (void)pthread_join(threads[i], NULL);
    return 0;
}
