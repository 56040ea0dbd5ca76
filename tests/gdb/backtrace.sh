#!/bin/sh
# backtrace.sh PROGRAM SCRIPT - gdb shows a running and a parked context from their innermost call
# to the root, stops there, and leaves the program able to go on.
set -eu
program=$1
script=$2

command -v gdb >/dev/null || { echo "skipped: no gdb"; exit 77; }

shown=$(gdb -nx -batch -iex "set debuginfod enabled off" -iex "set auto-load off" \
    -ex "set width 0" -ex "set confirm off" -ex "source $script" \
    -ex "break show_to_debugger" -ex run \
    -ex "echo == running\n" -ex bt -ex "echo == parked\n" -ex "seam bt &parked" \
    -ex "echo == home\n" -ex "seam bt &home" -ex "echo == running again\n" -ex bt \
    -ex "echo == on\n" -ex continue "$program" 2>&1)
echo "$shown"

case $shown in
*"ptrace: Operation not permitted"*) echo "skipped: gdb may not trace here"; exit 77 ;;
*"the switch is ucontext"*) echo "skipped: built without a switch gdb can follow"; exit 77 ;;
*"Python scripting is not supported"*) echo "skipped: this gdb has no Python"; exit 77 ;;
esac

# The functions of a section, innermost first: "#1  0x... in boil_egg () at ..." gives boil_egg.
calls_in() {
    echo "$shown" | sed -n "/^== $1\$/,/^== /s/^#[0-9]* *\(0x[0-9a-f]* in \)\{0,1\}\([a-z_A-Z0-9]*\).*/\2/p" |
        grep -v -e '^sm_switch_stack$' -e '^sm_context_switch$' -e '^begin$' | tr '\n' ' '
}

failed=0
expect() {
    calls=$(calls_in "$1")
    [ "$calls" = "$2 " ] && return
    echo "FAILED: $1: wanted '$2', got '$calls'"
    failed=1
}
expect running "show_to_debugger boil_egg set_table sm_switch_root"
expect parked "wait_for_bread make_toast make_breakfast sm_switch_root"
expect home "run main"
expect "running again" "show_to_debugger boil_egg set_table sm_switch_root"
case $shown in *"exited normally"*) ;; *) echo "FAILED: it did not go on"; failed=1 ;; esac
case $shown in *"corrupt stack"* | *"previous frame"*) echo "FAILED: no clean end"; failed=1 ;; esac
exit $failed
