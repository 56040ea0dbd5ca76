/* SPDX-License-Identifier: MIT */
/* The text phase: lines, greeting, module line. */
#include "fuzz.h"
#include "protocol/greeting.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct cursor in = cursor_of(bytes, len);
    char line[LINE_BYTES_MAX];
    while (greeting_take_line(&in, line) == 0) {
        struct greeting greeting;
        struct module_line module_line;
        struct fault fault = {};
        char name[32];
        FUZZ_CHECK(strlen(line) < sizeof line);
        int r = greeting_parse(line, &greeting, &fault);
        if (r == 0) {
            int protocol = greeting_protocol(&greeting, &fault);
            FUZZ_CHECK(protocol < 0 || (protocol >= PROTOCOL_OLDEST && protocol <= PROTOCOL_OURS));
            if (protocol < 0) r = protocol;
            (void)greeting_pick_digest(&greeting, "sha512 sha256 sha1 md5", name);
        }
        FUZZ_CHECK(r == 0 || strncmp(fault.text, "@ERROR: ", 8) == 0);
        r = module_line_parse(line, &module_line, &fault);
        FUZZ_CHECK(r == 0 || strncmp(fault.text, "@ERROR: ", 8) == 0);
        FUZZ_CHECK(r < 0 || module_line.early_bytes <= EARLY_INPUT_BYTES_MAX);
    }
    return 0;
}
