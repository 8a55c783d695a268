//! The workloads of bench/ on Tokio: `bench_tokio WORKLOAD` prints what Google Benchmark's JSON would hold; without an
//! argument it prints the names of the workloads. What is timed runs as a task, on a worker: never in block_on() itself.
use std::future::{poll_fn, Future};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, Mutex};
use tokio::task::JoinSet;

const TASKS: usize = 100_000;
const ITEMS: usize = 1_000_000;
const PLACES: usize = 1024;
const BUDGET: Duration = Duration::from_millis(500);
const HOUR: Duration = Duration::from_secs(3600);

/// How many items it did, and how long the timed part of it took.
type Timed = (usize, Duration);
type Case = (&'static str, fn(&Runtime) -> Timed);

fn cases(workload: &str) -> Vec<Case> {
    match workload {
        "spawn_outside" => vec![("", spawn_outside)],
        "spawn_bulk" => vec![("", spawn_bulk)],
        "spawn_await" => vec![("", spawn_await)],
        "timer" => vec![("", timers)],
        "cancel" => vec![("", cancel_all)],
        "stream" => vec![("", |rt| channel(rt, 1))],
        "channel" => vec![
            ("/each:1", |rt| channel(rt, 1)),
            ("/each:4", |rt| channel(rt, 4)),
        ],
        _ => vec![],
    }
}
const WORKLOADS: [&str; 8] = [
    "spawn_outside",
    "spawn_bulk",
    "spawn_await",
    "timer",
    "cancel",
    "stream",
    "channel",
    "wake",
];

fn main() {
    let Some(workload) = std::env::args().nth(1) else {
        println!("{}", WORKLOADS.join("\n"));
        return;
    };
    if !WORKLOADS.contains(&workload.as_str()) {
        eprintln!("bench_tokio: unknown workload {workload:?}");
        std::process::exit(2);
    }
    let mut found = Vec::new();
    for threads in [1, 2] {
        let rt = Builder::new_multi_thread()
            .worker_threads(threads)
            .enable_time()
            .build()
            .expect("a runtime");
        let label = format!("{workload}/threads:{threads}");
        if workload == "wake" {
            found.push(wake(&rt, &label));
        }
        for (name, run) in cases(&workload) {
            let (began, mut items, mut took) = (Instant::now(), 0, Duration::ZERO);
            while began.elapsed() < BUDGET {
                let (i, t) = run(&rt);
                items += i;
                took += t;
            }
            found.push(format!(
                r#"{{"name": "{label}{name}", "items_per_second": {}}}"#,
                items as f64 / took.as_secs_f64()
            ));
        }
    }
    println!(r#"{{"benchmarks": [{}]}}"#, found.join(", "));
}

/// Runs it on a worker.
fn on_a_worker<F>(rt: &Runtime, f: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    rt.block_on(rt.spawn(f)).expect("no task fails")
}

fn spawn_outside(rt: &Runtime) -> Timed {
    let began = Instant::now();
    let all: Vec<_> = (0..TASKS).map(|_| rt.spawn(async {})).collect();
    for task in all {
        rt.block_on(task).expect("no task fails");
    }
    (TASKS, began.elapsed())
}

fn spawn_bulk(rt: &Runtime) -> Timed {
    let began = Instant::now();
    on_a_worker(rt, async {
        let mut all = JoinSet::new();
        for _ in 0..TASKS {
            all.spawn(async {});
        }
        while all.join_next().await.is_some() {}
    });
    (TASKS, began.elapsed())
}

fn spawn_await(rt: &Runtime) -> Timed {
    let began = Instant::now();
    on_a_worker(rt, async {
        for _ in 0..TASKS {
            tokio::spawn(async {}).await.expect("no task fails");
        }
    });
    (TASKS, began.elapsed())
}

/// A timer is armed when it is polled for the first time.
fn timers(rt: &Runtime) -> Timed {
    let began = Instant::now();
    on_a_worker(rt, async {
        for _ in 0..TASKS {
            let mut timer = Box::pin(tokio::time::sleep(HOUR));
            poll_fn(|context| {
                assert!(timer.as_mut().poll(context).is_pending());
                std::task::Poll::Ready(())
            })
            .await;
        }
    });
    (TASKS, began.elapsed())
}

fn cancel_all(rt: &Runtime) -> Timed {
    let took = on_a_worker(rt, async {
        let waiting = Arc::new(AtomicUsize::new(0));
        let mut all = JoinSet::new();
        for _ in 0..TASKS {
            let waiting = waiting.clone();
            all.spawn(async move {
                waiting.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(HOUR).await;
            });
        }
        while waiting.load(Ordering::Relaxed) < TASKS {
            tokio::task::yield_now().await;
        }
        let asked = Instant::now();
        all.abort_all();
        while all.join_next().await.is_some() {}
        asked.elapsed()
    });
    (TASKS, took)
}

/// Tokio's channel has one receiver. Several share it behind an asynchronous mutex, each locks it for one item; a stream is
/// the same channel: nothing ends its producer when its consumer has gone.
fn channel(rt: &Runtime, each: usize) -> Timed {
    let began = Instant::now();
    let sum = on_a_worker(rt, async move {
        let (to, mut from) = mpsc::channel::<usize>(PLACES);
        for _ in 0..each {
            let to = to.clone();
            tokio::spawn(async move {
                for i in 0..ITEMS / each {
                    to.send(i).await.expect("somebody receives");
                }
            });
        }
        drop(to);
        let mut sum = 0;
        if each == 1 {
            let consumer = tokio::spawn(async move {
                let mut sum = 0;
                while let Some(v) = from.recv().await {
                    sum += v;
                }
                sum
            });
            return consumer.await.expect("no task fails");
        }
        let from = Arc::new(Mutex::new(from));
        let mut consumers = JoinSet::new();
        for _ in 0..each {
            let from = from.clone();
            consumers.spawn(async move {
                let mut sum = 0;
                loop {
                    let received = from.lock().await.recv().await;
                    match received {
                        Some(v) => sum += v,
                        None => return sum,
                    }
                }
            });
        }
        while let Some(part) = consumers.join_next().await {
            sum += part.expect("no task fails");
        }
        sum
    });
    let per_sender = ITEMS / each;
    assert_eq!(
        sum,
        each * (per_sender * (per_sender - 1) / 2),
        "an item was lost"
    );
    (ITEMS, began.elapsed())
}

fn wake(rt: &Runtime, label: &str) -> String {
    const ROUNDS: usize = 2000;
    let mut latencies: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            std::thread::sleep(Duration::from_micros(300)); // the workers go to sleep
            let asked = Instant::now();
            let ran = rt
                .block_on(rt.spawn(async { Instant::now() }))
                .expect("no task fails");
            (ran - asked).as_secs_f64() * 1e6
        })
        .collect();
    let sum: f64 = latencies.iter().sum();
    latencies.sort_by(f64::total_cmp);
    format!(
        r#"{{"name": "{label}", "items_per_second": {}, "p50_us": {}, "p99_us": {}}}"#,
        ROUNDS as f64 / sum * 1e6,
        latencies[ROUNDS / 2],
        latencies[ROUNDS * 99 / 100]
    )
}
