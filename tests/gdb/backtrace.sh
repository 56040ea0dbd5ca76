#!/bin/sh
# backtrace.sh PROGRAM SCRIPT CALLS [EXPRESSION CALLS]... - gdb shows the running stack, then each
# parked one that an expression names, from the innermost call to the root, stops there, and leaves
# the program able to go on. CALLS: the functions that must be seen, innermost first.
set -eu
program=$1
script=$2
running=$3
shift 3

command -v gdb >/dev/null || { echo "skipped: no gdb"; exit 77; }

commands=$(mktemp)
trap 'rm -f "$commands"' EXIT
{
    printf 'set width 0\nset confirm off\nsource %s\nbreak show_to_debugger\nrun\n' "$script"
    printf 'echo == running\\n\nbt\n'
    expression=
    for word; do
        if [ -z "$expression" ]; then
            expression=$word
            printf 'echo == %s\\n\nseam bt %s\n' "$word" "$word"
        else
            expression=
        fi
    done
    printf 'echo == running again\\n\nbt\necho == on\\n\ncontinue\n'
} >"$commands"
shown=$(gdb -nx -batch -iex "set debuginfod enabled off" -iex "set auto-load off" \
    -x "$commands" "$program" 2>&1)
echo "$shown"

case $shown in
*"ptrace: Operation not permitted"*) echo "skipped: gdb may not trace here"; exit 77 ;;
*"the switch is ucontext"*) echo "skipped: built without a switch gdb can follow"; exit 77 ;;
*"Python scripting is not supported"*) echo "skipped: this gdb has no Python"; exit 77 ;;
esac

# The functions of a section, innermost first: "#1  0x... in boil_egg () at ..." gives boil_egg.
# The runtime's own are left out, but for the root.
calls_in() {
    echo "$shown" | sed -n "/^== $1\$/,/^== /s/^#[0-9]* *\(0x[0-9a-f]* in \)\{0,1\}\([a-z_A-Z0-9]*\).*/\2/p" |
        grep -v -x -e 'sm_switch_stack' -e 'sm_context_switch' -e 'begin' -e 'sm_runner_suspend' \
            -e 'leave' -e 'switch_to' -e 'arrive' -e 'sm_thread_self' -e 'wait_as_task' -e 'sm_wait' -e 'sm_wait_on_queue' \
            -e 'wait_for' -e 'pass' | tr '\n' ' '
}

failed=0
expect() {
    calls=$(calls_in "$(echo "$1" | sed 's/[&*]/\\&/g')")
    [ "$calls" = "$2 " ] && return
    echo "FAILED: $1: wanted '$2', got '$calls'"
    failed=1
}
expect running "$running"
while [ $# -ge 2 ]; do
    expect "$1" "$2"
    shift 2
done
expect "running again" "$running"
case $shown in *"exited normally"*) ;; *) echo "FAILED: it did not go on"; failed=1 ;; esac
case $shown in *"corrupt stack"* | *"previous frame"*) echo "FAILED: no clean end"; failed=1 ;; esac
exit $failed
