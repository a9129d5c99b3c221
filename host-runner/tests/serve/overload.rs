//! More requests than can be answered: those that can are answered as if the others were not there, the others are refused
//! quickly. The aim is 90 % of the peak at three times the peak's rate (`research/reliability.md`, bar 11); what is
//! asserted leaves room for a client that runs on the same two processors.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::client::{Client, Trust};
use crate::guests::{LARGE, busy, guest, policies};
use crate::mounted::Mounted;
use crate::reviews::Asked;
use crate::support::{ATTEMPTS, Server, alone, folder};

const LOAD: Duration = Duration::from_secs(2);

/// The server lets a request wait and run for one second; the client's own time is longer, so an answer after it would
/// be work for nothing.
const PATH: &str = "/validate/busy?timeout=2s";
const IN_TIME: Duration = Duration::from_secs(2);

/// The part of the peak that has to be left.
const LEAST: f64 = 0.6;

/// Requests that may wait, and connections that are more than those and what runs.
const WAITING: usize = 32;
const CONNECTIONS: usize = 2 * WAITING;

/// Some milliseconds, so that it is the module that takes the time, and less than what counts as slow.
const ROUNDS: u64 = 8_000_000;

/// What came of a load.
#[derive(Default)]
struct Taken {
    answered: Vec<Duration>,
    refused: Vec<Duration>,
    wrong: Vec<String>,
    /// Requests that found no free connection.
    unsent: usize,
    time: Duration,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_beyond_capacity_are_refused_quickly_and_cost_few_of_the_others() {
    let _machine = alone().await;
    let folder = folder("overload");
    let mounted = Mounted::new(&folder);
    let policies = format!("--policies={}", policies(&folder, &[("busy", guest(&busy(ROUNDS)))]).display());
    let waiting = format!("--max-waiting={WAITING}");
    let mut server = Server::start(mounted.flags().iter().chain([&policies, &waiting])).await;
    let trust = mounted.trust();

    closed(&trust, &server, 4, Duration::ZERO, LOAD / 4).await.shown("warm-up", None);
    for attempt in 1..=ATTEMPTS {
        let peak = closed(&trust, &server, 4, Duration::ZERO, LOAD).await.shown("4 connections", None);
        let open = open(&trust, &server, 3.0 * peak).await.shown("3 x the rate", Some(peak));
        // Whoever is refused asks again soon, as a controller does.
        let more = closed(&trust, &server, CONNECTIONS, Duration::from_millis(20), LOAD).await;
        let more = more.shown("more connections than may wait", Some(peak));
        if open.min(more) >= LEAST * peak {
            break;
        }
        assert!(attempt < ATTEMPTS, "of {peak:.0}/s only {open:.0}/s and {more:.0}/s are left");
    }
    server.runs();
}

/// Each connection sends again as soon as it has an answer, or some time after a refusal.
async fn closed(trust: &Trust, server: &Server, connections: usize, pause: Duration, time: Duration) -> Taken {
    let begin = Instant::now();
    let mut workers = JoinSet::new();
    for _ in 0..connections {
        let (mut client, asked) = (Client::new(trust, server.address), Asked::of_size(LARGE));
        workers.spawn(async move {
            let mut taken = Taken::default();
            while begin.elapsed() < time {
                let refused = taken.refused.len();
                taken.ask(&mut client, &asked).await;
                if taken.refused.len() > refused {
                    sleep(pause).await;
                }
            }
            taken
        });
    }
    let mut all = Taken::default();
    while let Some(taken) = workers.join_next().await {
        all.add(taken.unwrap());
    }
    all.time = begin.elapsed();
    all
}

/// Requests come at a rate, whatever the server does.
async fn open(trust: &Trust, server: &Server, rate: f64) -> Taken {
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut client = Client::new(trust, server.address);
        client.post(PATH, Asked::new().body).await.unwrap();
        // Made beforehand, because the client has no processor of its own.
        clients.push((client, Asked::of_size(LARGE)));
    }
    let (clients, all) = (Arc::new(Mutex::new(clients)), Arc::new(Mutex::new(Taken::default())));
    let mut due = interval(Duration::from_secs_f64(1.0 / rate));
    due.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let begin = Instant::now();
    let mut requests = JoinSet::new();
    while begin.elapsed() < LOAD {
        due.tick().await;
        let Some((mut client, asked)) = clients.lock().await.pop() else {
            all.lock().await.unsent += 1;
            continue;
        };
        let (clients, all) = (Arc::clone(&clients), Arc::clone(&all));
        requests.spawn(async move {
            let mut taken = Taken::default();
            taken.ask(&mut client, &asked).await;
            clients.lock().await.push((client, asked));
            all.lock().await.add(taken);
        });
    }
    while let Some(request) = requests.join_next().await {
        request.unwrap();
    }
    let mut all = std::mem::take(&mut *all.lock().await);
    all.time = begin.elapsed();
    all
}

impl Taken {
    async fn ask(&mut self, client: &mut Client, asked: &Asked) {
        match client.post(PATH, asked.body.clone()).await {
            Err(error) => self.wrong.push(error),
            Ok(reply) if reply.status == 503 && reply.headers.contains_key("retry-after") => {
                self.refused.push(reply.took);
            }
            Ok(reply) if reply.took > IN_TIME => self.wrong.push(format!("answered after {:?}", reply.took)),
            Ok(reply) => match asked.allowed(&reply) {
                Ok(_) => self.answered.push(reply.took),
                Err(error) => self.wrong.push(error),
            },
        }
    }

    fn add(&mut self, other: Self) {
        self.answered.extend(other.answered);
        self.refused.extend(other.refused);
        self.wrong.extend(other.wrong);
        self.unsent += other.unsent;
    }

    /// Answers per second.
    fn goodput(&self) -> f64 {
        f64::from(u32::try_from(self.answered.len()).unwrap()) / self.time.as_secs_f64()
    }

    /// Prints it, asserts what has to be so whatever else the machine does, and gives the answers per second.
    fn shown(mut self, what: &str, peak: Option<f64>) -> f64 {
        let goodput = self.goodput();
        let ratio = peak.map_or(1.0, |peak| goodput / peak);
        println!(
            "overload: {what}: {goodput:.0}/s answered ({ratio:.2} of the peak, p99 {:.0?}), {} refused (median {:.1?}, p99 {:.1?}), {} not sent",
            part(&mut self.answered, 0.99),
            self.refused.len(),
            part(&mut self.refused, 0.5),
            part(&mut self.refused, 0.99),
            self.unsent
        );
        assert!(
            self.wrong.is_empty(),
            "{what}: {} requests: {:?}",
            self.wrong.len(),
            &self.wrong[..self.wrong.len().min(5)]
        );
        if peak.is_some() {
            assert!(!self.refused.is_empty(), "{what}: nothing was refused, so it was no overload");
            let refused = part(&mut self.refused, 0.99);
            assert!(refused < Duration::from_millis(500), "{what}: refusals take {refused:?}");
        }
        goodput
    }
}

/// The value below which this part of all is.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "an index")]
fn part(times: &mut [Duration], part: f64) -> Duration {
    times.sort_unstable();
    let index = (times.len() as f64 * part) as usize;
    times.get(index.min(times.len().saturating_sub(1))).copied().unwrap_or_default()
}
