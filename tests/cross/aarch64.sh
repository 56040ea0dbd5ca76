#!/bin/sh
# aarch64.sh SOURCE_DIR BUILD_DIR - the context tests on the other processor: cross-compiled, and run
# by an emulator. Exit 77, skipped, where the compiler or the emulator is missing.
set -eu
source=$1
build=$2/cross-aarch64
compiler=aarch64-linux-gnu-gcc

for tool in $compiler qemu-aarch64-static; do
    if ! command -v $tool >/dev/null; then
        echo "skipped: no $tool (Debian: gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static)"
        exit 77
    fi
done

mkdir -p "$build"
cd "$source"
for switch in aarch64 generic; do
    case $switch in
    generic) sources=src/arch/generic/switch.c ;;
    *) sources="src/arch/$switch/switch.S src/arch/$switch/root.S src/arch/$switch/frame.c" ;;
    esac
    $compiler -std=gnu11 -D_GNU_SOURCE -O1 -g -Wall -Wextra -Werror -static -pthread \
        -Iinclude -Isrc -Itests -o "$build/context_test_$switch" \
        src/arch/context_test.c src/arch/aarch64/registers_test.S src/arch/context.c src/arch/fiber.c $sources \
        src/base/panic.c tests/check/check.c
    echo "$switch:"
    qemu-aarch64-static "$build/context_test_$switch"
done
