// SPDX-License-Identifier: MIT

package main

/*
int bench_trivial(int value);
int bench_call_back(int value);
int bench_call_from_threads(int callers, long calls_each);
*/
import "C"

import (
	"runtime"
	"sync"
	"time"
)

// measureBlockingSeq: a cgo call. There is no change of thread: the goroutine's own thread runs
// the C function while the scheduler may take its place away. Not the same work as a pool's.
func measureBlockingSeq(r run) {
	calls := r.count(200_000, 1)
	start := time.Now()
	for i := 0; i < calls; i++ {
		need(C.bench_trivial(0) == 1, "wrong result")
	}
	r.perCall(start, calls, "us")
}

func measureBlocking64(r run) {
	fromTasks(r, 64, r.count(320_000, 64), func() { C.bench_trivial(0) })
}

type job struct {
	fn   func() int
	done chan int
}

// startPool: 4 goroutines locked to threads of their own: what a pool of threads is in Go.
func startPool() chan job {
	jobs := make(chan job, 64)
	for i := 0; i < 4; i++ {
		go func() {
			runtime.LockOSThread()
			for j := range jobs {
				j.done <- j.fn()
			}
		}()
	}
	return jobs
}

func trivial() int { return 1 }

func measureBlockingSeqPool(r run) {
	calls := r.count(200_000, 1)
	jobs := startPool()
	done := make(chan int, 1)
	start := time.Now()
	for i := 0; i < calls; i++ {
		jobs <- job{trivial, done}
		need(<-done == 1, "wrong result")
	}
	r.perCall(start, calls, "us")
}

func measureBlocking64Pool(r run) {
	jobs := startPool()
	fromTasks(r, 64, r.count(320_000, 64), func() {
		done := make(chan int, 1)
		jobs <- job{trivial, done}
		<-done
	})
}

func fromTasks(r run, tasks, calls int, call func()) {
	var done sync.WaitGroup
	start := time.Now()
	for i := 0; i < tasks; i++ {
		done.Add(1)
		go func() {
			for i := 0; i < calls/tasks; i++ {
				call()
			}
			done.Done()
		}()
	}
	done.Wait()
	r.perCall(start, calls, "calls/s")
}

// goCall is the bridge: a foreign thread enters, a goroutine does the work, the thread waits.
//
//export goCall
func goCall(value C.int) C.int {
	done := make(chan C.int, 1)
	go func() { done <- value + 1 }()
	return <-done
}

// measureBridgeSeq: a C thread calls an exported Go function that starts a goroutine and waits.
func measureBridgeSeq(r run) {
	calls := r.count(200_000, 1)
	start := time.Now()
	need(C.bench_call_from_threads(1, C.long(calls)) == 0, "pthread_create")
	r.perCall(start, calls, "us")
}

func measureBridge8(r run) {
	calls := r.count(200_000, 8)
	start := time.Now()
	need(C.bench_call_from_threads(8, C.long(calls/8)) == 0, "pthread_create")
	r.perCall(start, calls, "calls/s")
}

// measureCallInTask: a goroutine is in C code, which takes the bridge back into Go.
func measureCallInTask(r run) {
	calls := r.count(200_000, 1)
	start := time.Now()
	for i := 0; i < calls; i++ {
		need(C.bench_call_back(0) == 1, "wrong result")
	}
	r.perCall(start, calls, "ns")
}
