/* SPDX-License-Identifier: MIT */
/*
 * seam/chan.h - channels: values handed from one task or thread to another, in order.
 *
 *     senders ---seam_chan_send()---> [ up to capacity values ] ---seam_chan_recv()---> receivers
 *
 * A channel of capacity 0 is a meeting: a send returns when a receiver has taken the value. Waiting
 * senders are served in the order they came, and so are waiting receivers (FIFO; newcomers do not
 * overtake). A wait that times out or is cancelled has moved nothing: a value is never lost and
 * never taken twice.
 *
 * Closing is the senders' word that nothing more will come: receivers drain what is there and then
 * get -EPIPE.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "seam/attr.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A channel. */
typedef struct seam_chan seam_chan;

/**
 * seam_chan_new() - Make a channel.
 *
 * @value_bytes: size of each value, 0..65536; values are copied
 * @capacity:    values the channel holds while nobody receives, 0..2^24
 * @out_chan:    receives the channel, owned by the caller; untouched on error
 *
 * Return: 0, or
 *   -EINVAL  a size is out of range
 *   -ENOMEM  no memory
 *
 * Context: any.  Never suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API int seam_chan_new(size_t value_bytes, size_t capacity, seam_chan **out_chan);

/**
 * seam_chan_free() - Give a channel's memory back.
 *
 * @chan: taken; NULL is fine. Nobody may be in a call on it or make one; values inside are dropped
 *
 * Context: any.  Never suspends.
 * Thread-safe: no: the last call on this channel.
 * Since: 0.1
 */
SEAM_API void seam_chan_free(seam_chan *chan);

/**
 * seam_chan_send() - Pass a value on.
 *
 * @chan:        where to
 * @value:       value_bytes bytes, copied
 * @deadline_ns: how long to wait for room, or with capacity 0 for a receiver
 *
 * Return: 0 when the value is in the channel or with a receiver, or
 *   -EPIPE       the channel is closed; nothing was sent
 *   -ETIMEDOUT   no room until the deadline; nothing was sent
 *   -EAGAIN      the same, with SEAM_NOW
 *   -ECANCELED   the caller's scope was cancelled; nothing was sent
 *   -EOWNERDEAD  this is a forked child; nothing was sent
 *
 * Context: any.  Suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API SEAM_SUSPENDS int seam_chan_send(seam_chan *chan, const void *value, int64_t deadline_ns);

/**
 * seam_chan_recv() - Take the next value.
 *
 * @chan:        where from
 * @out_value:   receives value_bytes bytes; untouched on error
 * @deadline_ns: how long to wait for one
 *
 * Return: 0, or
 *   -EPIPE       the channel is closed and empty
 *   -ETIMEDOUT   nothing came until the deadline
 *   -EAGAIN      the same, with SEAM_NOW
 *   -ECANCELED   the caller's scope was cancelled; nothing was taken
 *   -EOWNERDEAD  this is a forked child; nothing was taken
 *
 * Context: any.  Suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API SEAM_SUSPENDS int seam_chan_recv(seam_chan *chan, void *out_value, int64_t deadline_ns);

/**
 * seam_chan_close() - Say that nothing more will be sent.
 *
 * @chan: closing again changes nothing
 *
 * Senders that wait get -EPIPE and keep their values; receivers that wait get -EPIPE if the channel
 * is empty, which it is when they wait.
 *
 * Context: any.  Never suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API void seam_chan_close(seam_chan *chan);

#ifdef __cplusplus
}
#endif
