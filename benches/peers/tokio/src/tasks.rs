// SPDX-License-Identifier: MIT

//! Tasks that take turns, start, end, and talk.

use crate::Run;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::sync::mpsc;

/// Wakes itself and returns Pending once: a yield that does not go through the I/O driver.
struct SelfWake(bool);

impl Future for SelfWake {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.0 {
            return Poll::Ready(());
        }
        self.0 = true;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

fn two_tasks<F, Y>(run: &Run, make: F)
where
    F: Fn() -> Y + Copy + Send + Sync + 'static,
    Y: Future<Output = ()> + Send,
{
    let yields = run.count(10_000_000, 2);
    let runtime = run.runtime();
    runtime.block_on(async {
        let start = Instant::now();
        let many = move || async move {
            for _ in 0..yields / 2 {
                make().await;
            }
        };
        let (first, second) = (tokio::spawn(many()), tokio::spawn(many()));
        first.await.unwrap();
        second.await.unwrap();
        run.per_call(start, yields, "ns");
    });
}

/// yield_now defers the task until the driver has been polled: an epoll_wait per round.
pub fn yield_now(run: &Run) {
    two_tasks(run, tokio::task::yield_now);
}

pub fn yield_selfwake(run: &Run) {
    two_tasks(run, || SelfWake(false));
}

/// Runs `future` as a task of its own and waits for it on main's thread.
fn in_task<F>(run: &Run, future: F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let runtime = run.runtime();
    runtime.block_on(async { tokio::spawn(future).await.unwrap() });
}

pub fn spawn_seq(run: &Run) {
    let (this, spawns) = (run.clone(), run.count(1_000_000, 1));
    in_task(run, async move {
        let start = Instant::now();
        for _ in 0..spawns {
            tokio::spawn(async {}).await.unwrap();
        }
        this.per_call(start, spawns, "ns");
    });
}

pub fn spawn_batch(run: &Run) {
    const BATCH: usize = 1000;
    let (this, spawns) = (run.clone(), run.count(1_000_000, BATCH));
    in_task(run, async move {
        let mut tasks = Vec::with_capacity(BATCH);
        let start = Instant::now();
        for _ in 0..spawns / BATCH {
            tasks.extend((0..BATCH).map(|_| tokio::spawn(async {})));
            for task in tasks.drain(..) {
                task.await.unwrap();
            }
        }
        this.per_call(start, spawns, "ns");
    });
}

pub fn ping_pong(run: &Run) {
    let (this, trips) = (run.clone(), run.count(1_000_000, 1));
    in_task(run, async move {
        let (ping, mut ping_end) = mpsc::channel::<u64>(1);
        let (pong, mut pong_end) = mpsc::channel::<u64>(1);
        let start = Instant::now();
        tokio::spawn(async move {
            while let Some(value) = ping_end.recv().await {
                let _ = pong.send(value + 1).await;
            }
        });
        let mut value = 0;
        for _ in 0..trips {
            ping.send(value).await.unwrap();
            value = pong_end.recv().await.unwrap();
        }
        this.per_call(start, trips, "ns");
        assert_eq!(value, trips as u64, "a message was lost");
    });
}
