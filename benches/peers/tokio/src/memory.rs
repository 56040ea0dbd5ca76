// SPDX-License-Identifier: MIT

//! n tasks have started and wait on one Notify.

use crate::Run;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// VmRSS and VmPTE in bytes.
fn memory_now() -> (f64, f64) {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc/self/status");
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        let kib = line.and_then(|line| line.split_whitespace().nth(1));
        kib.and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0) * 1024.0
    };
    (field("VmRSS:"), field("VmPTE:"))
}

pub fn measure(run: &Run, full: usize) {
    let tasks = run.count(full, 1);
    let runtime = run.running_runtime();
    let gate = Arc::new(Notify::new());
    let started = Arc::new(AtomicUsize::new(0));
    let (resident, tables) = memory_now();
    for _ in 0..tasks {
        let (gate, started) = (gate.clone(), started.clone());
        runtime.spawn(async move {
            started.fetch_add(1, Ordering::Relaxed);
            gate.notified().await;
        });
    }
    while started.load(Ordering::Relaxed) < tasks {
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(Duration::from_millis(10)); // the last one still has to reach its wait
    let (resident_now, tables_now) = memory_now();
    let per_task = (resident_now - resident) / tasks as f64;
    run.report_as(&run.workload, per_task, "bytes");
    let with_tables = per_task + (tables_now - tables) / tasks as f64;
    run.report_as(&format!("{}_tables", run.workload), with_tables, "bytes");
    std::process::exit(0); // taking a million tasks apart is not what is measured
}
