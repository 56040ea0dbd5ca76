// SPDX-License-Identifier: MIT

//! Tasks that block their threads or compute, and those behind them. Always a multi-thread runtime
//! with THREADS workers; block_in_place() would tell it, but that is what code does that knows.

use crate::Run;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::task;

const STINT: Duration = Duration::from_millis(100);
const BLOCK: Duration = Duration::from_millis(20);

pub fn report(run: &Run, mut samples: Vec<Duration>) {
    samples.sort();
    let n = samples.len();
    for (suffix, rank) in [("", n / 2), ("_p99", n * 99 / 100), ("_max", n - 1)] {
        let value = samples[rank].as_nanos() as f64 / 1e6;
        run.report_as(&format!("{}{}", run.workload, suffix), value, "ms");
    }
}

pub fn block(time: Duration) {
    std::thread::sleep(time);
}

pub fn compute(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {}
}

async fn tick(end: Instant) -> Vec<Duration> {
    let mut samples = Vec::new();
    let mut last = Instant::now();
    while last < end {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let now = Instant::now();
        samples.push(now - last);
        last = now;
    }
    samples
}

/// A task sleeps 1 ms at a time beside as many as there are workers that occupy their threads.
pub fn ticker(run: &Run, occupy: fn(Duration)) {
    let end = Instant::now() + Duration::from_millis(run.count(2000, 1) as u64);
    let over = Arc::new(AtomicBool::new(false));
    let runtime = run.running_runtime();
    let ticker = runtime.spawn(task::unconstrained(tick(end)));
    for _ in 0..run.threads {
        let over = over.clone();
        runtime.spawn(async move {
            while !over.load(Ordering::SeqCst) {
                occupy(STINT);
                task::yield_now().await;
            }
        });
    }
    let samples = runtime.block_on(ticker).expect("ticker");
    over.store(true, Ordering::SeqCst);
    report(run, samples);
}

/// Spawn a task and block the thread, 50 times. Awaiting it in the end is what lets it run.
pub fn child_of_blocker(run: &Run) {
    let rounds = run.count(50, 1);
    let runtime = run.running_runtime();
    let parent = runtime.spawn(async move {
        let mut samples = Vec::new();
        for _ in 0..rounds {
            let spawned = Instant::now();
            let child = tokio::spawn(async { Instant::now() });
            block(BLOCK);
            samples.push(child.await.expect("child") - spawned);
        }
        samples
    });
    report(run, runtime.block_on(parent).expect("parent"));
}

fn start_and_stop(run: &Run, build: impl Fn() -> Runtime, calls: bool) {
    let rounds = run.count(1000, 1);
    let start = Instant::now();
    for _ in 0..rounds {
        let runtime = build();
        if calls {
            runtime.block_on(runtime.spawn(async {})).expect("task");
        }
    }
    run.per_call(start, rounds, "us");
}

pub fn start_stop(run: &Run) {
    start_and_stop(run, || run.running_runtime(), false);
}

pub fn start_call_stop(run: &Run) {
    start_and_stop(run, || run.running_runtime(), true);
}

pub fn start_stop_current(run: &Run) {
    let build = || Builder::new_current_thread().enable_all().build().expect("runtime");
    start_and_stop(run, build, false);
}
