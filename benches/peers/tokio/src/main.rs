// SPDX-License-Identifier: MIT

//! The Tokio peer: PROGRAM WORKLOAD THREADS [DIVISOR], see common/bench.h.
//!
//! With THREADS = 1 main drives a current-thread runtime, which is Tokio's fastest form for one
//! worker; where other threads call in, and with THREADS > 1, it is a multi-thread runtime with
//! THREADS workers. Everything measured runs in spawned tasks. What differs from the other peers
//! is said where each workload is measured. One that sleeps must poll its timers in task::unconstrained,
//! or Tokio's budget leaves most of them unregistered.

mod doors;
mod echo;
mod liveness;
mod memory;
mod patience;
mod tasks;

use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};

const SECONDS_MAX: u64 = 120;

#[derive(Clone)]
pub struct Run {
    pub workload: String,
    pub threads: usize,
    pub divisor: usize,
}

impl Run {
    /// How many operations to do where the full measurement does `full`; a multiple of `step`.
    pub fn count(&self, full: usize, step: usize) -> usize {
        (full / self.divisor / step * step).max(step)
    }

    /// Main drives it, or waits while the workers do.
    pub fn runtime(&self) -> Runtime {
        if self.threads > 1 {
            return self.running_runtime();
        }
        Builder::new_current_thread().enable_all().build().expect("runtime")
    }

    /// Runs by itself, for callers outside.
    pub fn running_runtime(&self) -> Runtime {
        Builder::new_multi_thread()
            .worker_threads(self.threads)
            .enable_all()
            .build()
            .expect("runtime")
    }

    pub fn report_as(&self, workload: &str, value: f64, unit: &str) {
        let digits = if value < 10.0 { 3 } else { 1 };
        println!("{} tokio {} {:.*} {}", workload, self.threads, digits, value, unit);
    }

    pub fn per_call(&self, start: Instant, calls: usize, unit: &str) {
        let ns = start.elapsed().as_nanos() as f64;
        let value = match unit {
            "ns" => ns / calls as f64,
            "us" => ns / 1e3 / calls as f64,
            _ => calls as f64 * 1e9 / ns,
        };
        self.report_as(&self.workload, value, unit);
    }

    pub fn not_possible(&self, reason: &str) {
        println!("{} tokio {} n/a {}", self.workload, self.threads, reason);
    }
}

/// The peers in C ask the kernel to die with their parent. Without libc, watch the parent.
fn die_with_parent() {
    let parent = std::os::unix::process::parent_id();
    let start = Instant::now();
    std::thread::spawn(move || loop {
        std::thread::sleep(Duration::from_secs(1));
        let orphaned = std::os::unix::process::parent_id() != parent;
        if orphaned || start.elapsed().as_secs() > SECONDS_MAX {
            std::process::exit(1);
        }
    });
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let number = |i: usize| args.get(i).map_or(Some(1), |s| s.parse::<usize>().ok());
    let (threads, divisor) = match (args.len() >= 3, number(2), number(3)) {
        (true, Some(threads), Some(divisor)) if threads > 0 && divisor > 0 => (threads, divisor),
        _ => {
            eprintln!("usage: PROGRAM WORKLOAD THREADS [DIVISOR]");
            std::process::exit(2);
        }
    };
    let run = Run { workload: args[1].clone(), threads, divisor };

    die_with_parent();
    match run.workload.as_str() {
        "yield" => tasks::yield_now(&run),
        "yield_selfwake" => tasks::yield_selfwake(&run),
        "spawn_seq" => tasks::spawn_seq(&run),
        "spawn_batch" => tasks::spawn_batch(&run),
        "ping_pong" => tasks::ping_pong(&run),
        "blocking_seq" => doors::blocking_seq(&run),
        "blocking_64" => doors::blocking_64(&run),
        "bridge_seq" => doors::bridge(&run, 1, doors::through_bridge),
        "bridge_seq_spawn" => doors::bridge(&run, 1, doors::through_spawn),
        "bridge_seq_inline" => doors::bridge(&run, 1, doors::through_inline),
        "bridge_8" => doors::bridge(&run, 8, doors::through_bridge),
        "bridge_8_spawn" => doors::bridge(&run, 8, doors::through_spawn),
        "call_in_task" => doors::call_in_task(&run),
        "bridge_behind_blocker" => patience::behind_blocker(&run),
        "bridge_timeout" => patience::timeout(&run),
        "bridge_cancel" => patience::cancel(&run),
        "mem_block_100k" => memory::measure(&run, 100_000),
        "mem_block_1m" => memory::measure(&run, 1_000_000),
        "echo" => echo::serve(&run),
        "ticker_blocked" => liveness::ticker(&run, liveness::block),
        "ticker_busy" => liveness::ticker(&run, liveness::compute),
        "child_of_blocker" => liveness::child_of_blocker(&run),
        "runtime_start_stop" => liveness::start_stop(&run),
        "runtime_start_call_stop" => liveness::start_call_stop(&run),
        "runtime_start_stop_current" => liveness::start_stop_current(&run),
        other => {
            eprintln!("tokio: no workload {}", other);
            std::process::exit(2);
        }
    }
}
