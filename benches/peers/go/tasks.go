// SPDX-License-Identifier: MIT

package main

import (
	"runtime"
	"sync"
	"time"
)

// measureYield: 2 goroutines call Gosched 5 M times each; a yielding goroutine goes to the
// global run queue, behind all others.
func measureYield(r run) {
	yields := r.count(10_000_000, 2)
	var done sync.WaitGroup
	start := time.Now()
	for i := 0; i < 2; i++ {
		done.Add(1)
		go func() {
			for i := 0; i < yields/2; i++ {
				runtime.Gosched()
			}
			done.Done()
		}()
	}
	done.Wait()
	r.perCall(start, yields, "ns")
}

// measureSpawnSeq: start a trivial goroutine and wait for it; Go has no join, a WaitGroup is it.
func measureSpawnSeq(r run) {
	spawns := r.count(1_000_000, 1)
	runs := 0
	var done sync.WaitGroup
	start := time.Now()
	for i := 0; i < spawns; i++ {
		done.Add(1)
		go func() {
			runs++
			done.Done()
		}()
		done.Wait()
	}
	r.perCall(start, spawns, "ns")
	need(runs == spawns, "a goroutine did not run")
}

// measureSpawnBatch: one WaitGroup for 1000 goroutines, so one wait for a thousand joins.
func measureSpawnBatch(r run) {
	const batch = 1000
	spawns := r.count(1_000_000, batch)
	var done sync.WaitGroup
	start := time.Now()
	for i := 0; i < spawns; i += batch {
		done.Add(batch)
		for j := 0; j < batch; j++ {
			go done.Done()
		}
		done.Wait()
	}
	r.perCall(start, spawns, "ns")
}

// measurePingPong: two channels of capacity 1, placement by the scheduler.
func measurePingPong(r run) {
	trips := r.count(1_000_000, 1)
	ping, pong := make(chan uint64, 1), make(chan uint64, 1)
	start := time.Now()
	go func() {
		for i := 0; i < trips; i++ {
			pong <- <-ping + 1
		}
	}()
	value := uint64(0)
	for i := 0; i < trips; i++ {
		ping <- value
		value = <-pong
	}
	r.perCall(start, trips, "ns")
	need(value == uint64(trips), "a message was lost")
}
