// SPDX-License-Identifier: MIT

package main

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"sync"
)

// memoryNow returns VmRSS and VmPTE in bytes.
func memoryNow() (resident, tables float64) {
	status, err := os.Open("/proc/self/status")
	need(err == nil, "cannot read /proc/self/status")
	defer status.Close()
	for lines := bufio.NewScanner(status); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) < 2 {
			continue
		}
		kib, _ := strconv.ParseFloat(words[1], 64)
		switch words[0] {
		case "VmRSS:":
			resident = kib * 1024
		case "VmPTE:":
			tables = kib * 1024
		}
	}
	return resident, tables
}

// measureMemory: n goroutines have started and block on a channel. No collection is forced; the
// stacks (2 KiB each at first) are what is counted.
func measureMemory(r run, full int) {
	tasks := r.count(full, 1)
	resident, tables := memoryNow()
	gate := make(chan struct{})
	var started sync.WaitGroup
	started.Add(tasks)
	for i := 0; i < tasks; i++ {
		go func() {
			started.Done()
			<-gate
		}()
	}
	started.Wait()
	residentNow, tablesNow := memoryNow()
	perTask := (residentNow - resident) / float64(tasks)
	r.reportAs(r.workload, perTask, "bytes")
	r.reportAs(r.workload+"_tables", perTask+(tablesNow-tables)/float64(tasks), "bytes")
	close(gate)
}
