// SPDX-License-Identifier: MIT

//! What a caller of a bridge waits for that is not its own. The bridge is that of doors.rs, which has
//! neither deadlines nor cancellation: what comes nearest is measured.

use crate::doors::Bridge;
use crate::liveness::{block, report};
use crate::Run;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const BLOCK: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_millis(10);

/// A call that blocks its thread, and another thread's call once it does.
pub fn behind_blocker(run: &Run) {
    let rounds = run.count(50, 1);
    let runtime = run.running_runtime();
    let bridge = Bridge::new(runtime.handle().clone());
    let mut samples = Vec::new();
    for _ in 0..rounds {
        let (begun, begun_end) = sync_channel(1);
        let other = bridge.clone();
        let blocker = std::thread::spawn(move || {
            other.call(async move {
                begun.send(()).unwrap();
                block(BLOCK);
            });
        });
        begun_end.recv().unwrap();
        let called = Instant::now();
        bridge.call(async {});
        samples.push(called.elapsed());
        blocker.join().unwrap();
    }
    report(run, samples);
}

/// The caller gives up after 10 ms; the task is not told.
pub fn timeout(run: &Run) {
    let rounds = run.count(100, 1);
    let runtime = run.running_runtime();
    let bridge = Bridge::new(runtime.handle().clone());
    let mut samples = Vec::new();
    for _ in 0..rounds {
        let deadline = Instant::now() + PATIENCE;
        let reply = bridge.start(async { tokio::time::sleep(Duration::from_secs(1)).await });
        reply.recv_timeout(PATIENCE).unwrap_err();
        samples.push(deadline.elapsed());
    }
    runtime.shutdown_background();
    report(run, samples);
}

/// Another thread aborts the task, by the handle that its caller waits for.
pub fn cancel(run: &Run) {
    let rounds = run.count(100, 1);
    let runtime = run.running_runtime();
    let mut samples = Vec::new();
    for _ in 0..rounds {
        let (begun, begun_end) = sync_channel(1);
        let mut tasks = JoinSet::new();
        let task = async move {
            begun.send(()).unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
        };
        let handle = tasks.spawn_on(task, runtime.handle());
        let canceller = std::thread::spawn(move || {
            begun_end.recv().unwrap();
            let cancelled = Instant::now();
            handle.abort();
            cancelled
        });
        let outcome = runtime.block_on(tasks.join_next()).unwrap();
        let resumed = Instant::now();
        assert!(outcome.unwrap_err().is_cancelled());
        samples.push(resumed - canceller.join().unwrap());
    }
    report(run, samples);
}
