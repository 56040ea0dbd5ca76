// SPDX-License-Identifier: MIT

//! From tasks to threads and from threads to tasks.

use crate::Run;
use std::future::Future;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::mpsc::{sync_channel, Receiver};
use std::time::Instant;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{unbounded_channel, UnboundedSender};
use tokio::sync::oneshot;

/// One task offloads a trivial function with spawn_blocking and awaits it.
pub fn blocking_seq(run: &Run) {
    let calls = run.count(200_000, 1);
    let this = run.clone();
    run.runtime().block_on(async {
        let task = tokio::spawn(async move {
            let start = Instant::now();
            for _ in 0..calls {
                tokio::task::spawn_blocking(|| 1).await.unwrap();
            }
            this.per_call(start, calls, "us");
        });
        task.await.unwrap();
    });
}

pub fn blocking_64(run: &Run) {
    const TASKS: usize = 64;
    let calls = run.count(320_000, TASKS);
    run.runtime().block_on(async {
        let start = Instant::now();
        let many = || async move {
            for _ in 0..calls / TASKS {
                tokio::task::spawn_blocking(|| 1).await.unwrap();
            }
        };
        let tasks: Vec<_> = (0..TASKS).map(|_| tokio::spawn(many())).collect();
        for task in tasks {
            task.await.unwrap();
        }
        run.per_call(start, calls, "calls/s");
    });
}

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The RuntimeBridge design: boxed futures through an unbounded channel to a task that spawns
/// them; the reply comes through a std channel, on which the caller parks.
#[derive(Clone)]
pub struct Bridge {
    handle: Handle,
    jobs: UnboundedSender<Job>,
}

impl Bridge {
    pub fn new(handle: Handle) -> Bridge {
        let (jobs, mut jobs_end) = unbounded_channel::<Job>();
        handle.spawn(async move {
            while let Some(job) = jobs_end.recv().await {
                tokio::spawn(job);
            }
        });
        Bridge { handle, jobs }
    }

    /// Run it as a task; what it returns comes through the channel.
    pub fn start<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Receiver<T> {
        let (reply, reply_end) = sync_channel(1);
        let job = Box::pin(async move {
            let _ = reply.send(work.await);
        });
        self.jobs.send(job).ok().expect("the bridge is closed");
        reply_end
    }

    pub fn call<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        self.start(work).recv().unwrap()
    }
}

async fn trivial() -> u32 {
    1
}

pub fn through_bridge(bridge: &Bridge) -> u32 {
    bridge.call(trivial())
}

/// Handle::spawn and a oneshot: what a careful user writes today.
pub fn through_spawn(bridge: &Bridge) -> u32 {
    let (reply, reply_end) = oneshot::channel();
    bridge.handle.spawn(async move {
        let _ = reply.send(trivial().await);
    });
    reply_end.blocking_recv().unwrap()
}

/// Handle::block_on runs the function on the caller: no task of the runtime is involved.
pub fn through_inline(bridge: &Bridge) -> u32 {
    bridge.handle.block_on(trivial())
}

pub fn bridge(run: &Run, callers: usize, call: fn(&Bridge) -> u32) {
    let calls = run.count(200_000, callers);
    let runtime = run.running_runtime();
    let bridge = Bridge::new(runtime.handle().clone());
    let start = Instant::now();
    let many = |bridge: Bridge| {
        move || {
            for _ in 0..calls / callers {
                assert_eq!(call(&bridge), 1);
            }
        }
    };
    let threads: Vec<_> = (0..callers).map(|_| std::thread::spawn(many(bridge.clone()))).collect();
    for thread in threads {
        thread.join().unwrap();
    }
    run.per_call(start, calls, if callers == 1 { "us" } else { "calls/s" });
}

/// Handle::block_on from inside a task panics; the bridge itself would park the worker that has
/// to answer. The panic is provoked and its message printed.
pub fn call_in_task(run: &Run) {
    std::panic::set_hook(Box::new(|_| {}));
    let outcome = run.runtime().block_on(async {
        let call = || Handle::current().block_on(trivial());
        tokio::spawn(async move { catch_unwind(AssertUnwindSafe(call)) }).await.unwrap()
    });
    match outcome {
        Ok(_) => run.not_possible("block_on inside a task returned, against its documentation"),
        Err(panic) => {
            let text = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("no message");
            let first = text.split('.').next().unwrap_or(text);
            run.not_possible(&format!("panic: {}", first));
        }
    }
}
