// SPDX-License-Identifier: MIT

// Program go is the Go peer: PROGRAM WORKLOAD THREADS [DIVISOR], see common/bench.h.
//
// THREADS is GOMAXPROCS. A task is a goroutine, a channel of capacity 1 a Go channel of
// capacity 1. What differs from the other peers is said where each workload is measured.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

const secondsMax = 120

type run struct {
	workload string
	threads  int
	divisor  int
}

var cases = map[string]func(run){
	"yield":             measureYield,
	"spawn_seq":         measureSpawnSeq,
	"spawn_batch":       measureSpawnBatch,
	"ping_pong":         measurePingPong,
	"blocking_seq":      measureBlockingSeq,
	"blocking_seq_pool": measureBlockingSeqPool,
	"blocking_64":       measureBlocking64,
	"blocking_64_pool":  measureBlocking64Pool,
	"bridge_seq":        measureBridgeSeq,
	"bridge_8":          measureBridge8,
	"call_in_task":      measureCallInTask,
	"mem_block_100k":    func(r run) { measureMemory(r, 100_000) },
	"mem_block_1m":      func(r run) { measureMemory(r, 1_000_000) },
	"echo":              measureEcho,
	"ticker_blocked":    func(r run) { measureTicker(r, block) },
	"ticker_busy":       func(r run) { measureTicker(r, compute) },
	"child_of_blocker":  measureChildOfBlocker,
}

// count is how many operations to do where the full measurement does full.
func (r run) count(full, step int) int {
	n := full / r.divisor / step * step
	if n < step {
		n = step
	}
	return n
}

func (r run) reportAs(workload string, value float64, unit string) {
	digits := 1
	if value < 10 {
		digits = 3
	}
	fmt.Printf("%s go %d %.*f %s\n", workload, r.threads, digits, value, unit)
}

func (r run) perCall(start time.Time, calls int, unit string) {
	ns := float64(time.Since(start).Nanoseconds())
	switch unit {
	case "ns":
		r.reportAs(r.workload, ns/float64(calls), unit)
	case "us":
		r.reportAs(r.workload, ns/1e3/float64(calls), unit)
	case "calls/s":
		r.reportAs(r.workload, float64(calls)*1e9/ns, unit)
	}
}

func need(ok bool, what string) {
	if !ok {
		fmt.Fprintln(os.Stderr, "go:", what)
		os.Exit(1)
	}
}

// dieWithParent makes sure that nothing is left behind.
func dieWithParent() {
	const prSetPdeathsig = 1
	runtime.LockOSThread() // the signal is tied to the thread; main's lives as long as main
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, prSetPdeathsig, uintptr(syscall.SIGKILL), 0)
	time.AfterFunc(secondsMax*time.Second, func() { os.Exit(1) })
}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: PROGRAM WORKLOAD THREADS [DIVISOR]")
		os.Exit(2)
	}
	r := run{workload: os.Args[1], divisor: 1}
	r.threads, _ = strconv.Atoi(os.Args[2])
	if len(os.Args) > 3 {
		r.divisor, _ = strconv.Atoi(os.Args[3])
	}
	need(r.threads >= 1 && r.divisor >= 1, "THREADS and DIVISOR must be at least 1")
	measure, ok := cases[r.workload]
	if !ok {
		fmt.Fprintln(os.Stderr, "go: no workload", r.workload)
		os.Exit(2)
	}
	dieWithParent()
	runtime.GOMAXPROCS(r.threads)
	// Not on main's goroutine: it is locked to its thread, which would make each switch dear.
	done := make(chan struct{})
	go func() {
		measure(r)
		close(done)
	}()
	<-done
}
