/* SPDX-License-Identifier: MIT */
#include "protocol/request.h"

#include <errno.h>
#include <string.h>

#include "protocol/varint.h"

/* The tail of a request: what its flags announce. */
static int get_details(struct cursor *in, struct request *request, struct fault *fault)
{
    int r = cursor_get_u16le(in, &request->iflags);
    if (r < 0) return r;
    if ((request->iflags & REQUEST_XATTR) != 0) {
        return fault_set(fault, -EPROTO, "extended attributes were requested, never agreed on");
    }
    if ((request->iflags & REQUEST_HAS_BASIS) != 0) {
        r = cursor_get_byte(in, &request->basis);
        if (r < 0) return r;
    }
    if ((request->iflags & REQUEST_HAS_NAME) == 0) return 0;

    const uint8_t *name = NULL;
    r = vstring_get(in, REQUEST_NAME_MAX - 1, &name, &request->name_len);
    if (r == -EPROTO) return fault_set(fault, r, "a requested name is too long");
    if (r < 0) return r;
    memcpy(request->name, name, request->name_len);
    request->name[request->name_len] = '\0';
    return 0;
}

int request_get(struct ndx *ndx, struct cursor *in, int32_t entries_count,
        struct request *out_request, struct fault *fault)
{
    struct cursor at = *in;
    struct ndx after = *ndx;
    out_request->iflags = 0;
    out_request->basis = 0;
    out_request->name_len = 0;
    out_request->name[0] = '\0';
    int r = ndx_get(&after, &at, &out_request->ndx);
    if (r == -EPROTO) return fault_set(fault, r, "invalid file index");
    if (r < 0) return r;

    int32_t index = out_request->ndx;
    if (index >= 0) {
        if (index >= entries_count) {
            return fault_set(fault, -EPROTO, "file index %d of %d", index, entries_count);
        }
        r = get_details(&at, out_request, fault);
        if (r < 0) return r;
    } else if (index != NDX_DONE && index != NDX_DEL_STATS) {
        return fault_set(fault, -EPROTO, "unexpected index %d", index);
    }
    *ndx = after;
    *in = at;
    return 0;
}

int request_put(struct ndx *ndx, const struct request *request, struct buf *out)
{
    (void)ndx_put(ndx, out, request->ndx);
    if (request->ndx < 0) return out->error;
    (void)buf_put_u16le(out, request->iflags);
    if ((request->iflags & REQUEST_HAS_BASIS) != 0) (void)buf_put_byte(out, request->basis);
    if ((request->iflags & REQUEST_HAS_NAME) != 0) {
        return vstring_put(out, request->name, request->name_len);
    }
    return out->error;
}

static int check_sumhead(const struct sumhead *head, size_t digest_bytes, struct fault *fault)
{
    if (head->count < 0 || head->count > SUMHEAD_COUNT_MAX) {
        return fault_set(fault, -EPROTO, "invalid checksum count %d", head->count);
    }
    bool is_length_valid = head->block_bytes >= 0 && head->block_bytes <= SUMHEAD_BLOCK_BYTES_MAX;
    if (!is_length_valid || (head->count > 0 && head->block_bytes == 0)) {
        return fault_set(fault, -EPROTO, "invalid block length %d", head->block_bytes);
    }
    if (head->strong_bytes < 0 || (size_t)head->strong_bytes > digest_bytes) {
        return fault_set(fault, -EPROTO, "invalid checksum length %d", head->strong_bytes);
    }
    if (head->remainder < 0 || head->remainder > head->block_bytes) {
        return fault_set(fault, -EPROTO, "invalid remainder length %d", head->remainder);
    }
    return 0;
}

int sumhead_get(
        struct cursor *in, size_t digest_bytes, struct sumhead *out_head, struct fault *fault)
{
    struct cursor at = *in;
    uint32_t numbers[4] = {};
    for (int i = 0; i < 4; i++) {
        int r = cursor_get_u32le(&at, &numbers[i]);
        if (r < 0) return r;
    }
    struct sumhead head = {.count = (int32_t)numbers[0],
            .block_bytes = (int32_t)numbers[1],
            .strong_bytes = (int32_t)numbers[2],
            .remainder = (int32_t)numbers[3]};
    int r = check_sumhead(&head, digest_bytes, fault);
    if (r < 0) return r;

    *out_head = head;
    *in = at;
    return 0;
}

int sumhead_put(const struct sumhead *head, struct buf *out)
{
    (void)buf_put_u32le(out, (uint32_t)head->count);
    (void)buf_put_u32le(out, (uint32_t)head->block_bytes);
    (void)buf_put_u32le(out, (uint32_t)head->strong_bytes);
    return buf_put_u32le(out, (uint32_t)head->remainder);
}

int64_t sumhead_basis_bytes(const struct sumhead *head)
{
    if (head->count == 0) return 0;
    return (int64_t)(head->count - 1) * head->block_bytes
            + sumhead_block_len(head, head->count - 1);
}

int32_t sumhead_block_len(const struct sumhead *head, int32_t index)
{
    bool is_short = index == head->count - 1 && head->remainder != 0;
    return is_short ? head->remainder : head->block_bytes;
}

int del_stats_get(struct cursor *in, struct del_stats *out_stats, struct fault *fault)
{
    struct cursor at = *in;
    struct del_stats stats = {};
    for (int i = 0; i < 5; i++) {
        int r = varint_get(&at, &stats.deleted[i]);
        if (r == -EPROTO) return fault_set(fault, r, "invalid number of deletions");
        if (r < 0) return r;
    }
    *out_stats = stats;
    *in = at;
    return 0;
}

int del_stats_put(struct ndx *ndx, const struct del_stats *stats, struct buf *out)
{
    (void)ndx_put(ndx, out, NDX_DEL_STATS);
    for (int i = 0; i < 5; i++) {
        (void)varint_put(out, stats->deleted[i]);
    }
    return out->error;
}

int stats_put(const struct stats *stats, struct buf *out)
{
    (void)varlong_put(out, stats->read_bytes, 3);
    (void)varlong_put(out, stats->written_bytes, 3);
    (void)varlong_put(out, stats->files_bytes, 3);
    (void)varlong_put(out, stats->build_ms, 3);
    return varlong_put(out, stats->transfer_ms, 3);
}

int stats_get(struct cursor *in, struct stats *out_stats)
{
    struct cursor at = *in;
    int64_t numbers[5] = {};
    for (int i = 0; i < 5; i++) {
        int r = varlong_get(&at, 3, &numbers[i]);
        if (r < 0) return r;
    }
    *out_stats = (struct stats){.read_bytes = numbers[0],
            .written_bytes = numbers[1],
            .files_bytes = numbers[2],
            .build_ms = numbers[3],
            .transfer_ms = numbers[4]};
    *in = at;
    return 0;
}
