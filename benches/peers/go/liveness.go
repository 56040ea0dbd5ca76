// SPDX-License-Identifier: MIT

package main

import (
	"runtime"
	"sort"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	stint     = 100 * time.Millisecond
	blockTime = 20 * time.Millisecond
)

// reportSamples prints p50, p99 and max in milliseconds.
func (r run) reportSamples(samples []time.Duration) {
	need(len(samples) > 0, "a sample")
	sort.Slice(samples, func(i, j int) bool { return samples[i] < samples[j] })
	n := len(samples)
	for i, suffix := range []string{"", "_p99", "_max"} {
		rank := []int{n / 2, n * 99 / 100, n - 1}[i]
		r.reportAs(r.workload+suffix, float64(samples[rank].Nanoseconds())/1e6, "ms")
	}
}

// block holds its thread in a system call; Go marks the entry of each, and so knows.
func block(d time.Duration) {
	ts := syscall.NsecToTimespec(d.Nanoseconds())
	_ = syscall.Nanosleep(&ts, nil)
}

func compute(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
	}
}

// measureTicker: a goroutine sleeps 1 ms at a time beside as many as there are Ps that occupy
// their threads.
func measureTicker(r run, occupy func(time.Duration)) {
	var over int32
	var done sync.WaitGroup
	for i := 0; i < r.threads; i++ {
		done.Add(1)
		go func() {
			for atomic.LoadInt32(&over) == 0 {
				occupy(stint)
				runtime.Gosched()
			}
			done.Done()
		}()
	}
	var samples []time.Duration
	end := time.Now().Add(time.Duration(r.count(2000, 1)) * time.Millisecond)
	for last := time.Now(); last.Before(end); {
		time.Sleep(time.Millisecond)
		now := time.Now()
		samples = append(samples, now.Sub(last))
		last = now
	}
	atomic.StoreInt32(&over, 1)
	done.Wait()
	r.reportSamples(samples)
}

// measureChildOfBlocker: start a goroutine, block the thread, 50 times.
func measureChildOfBlocker(r run) {
	var samples []time.Duration
	for i := r.count(50, 1); i > 0; i-- {
		begun := make(chan time.Time, 1)
		spawned := time.Now()
		go func() { begun <- time.Now() }()
		block(blockTime)
		samples = append(samples, (<-begun).Sub(spawned))
	}
	r.reportSamples(samples)
}
