//! A policy that spins takes processor time from the others, but never their place. The aim is that their latency is at
//! most doubled (`research/reliability.md`, bar 9); what is asserted leaves room for a busy machine.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::client::{Client, Trust};
use crate::guests::{ENDLESS, GOOD, LARGE, guest, policies};
use crate::mounted::Mounted;
use crate::reviews::{Asked, VERSION};
use crate::support::{ATTEMPTS, Server, alone, folder};

/// Longer than a call may spin, so that each spinner is stopped and begins anew meanwhile.
const MEASURE: Duration = Duration::from_millis(1200);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_spins_does_not_take_the_place_of_another() {
    let _machine = alone().await;
    let folder = folder("neighbours");
    let mounted = Mounted::new(&folder);
    let policies = format!("--policies={}", policies(&folder, &[("loop", guest(ENDLESS))]).display());
    let mut server = Server::start(mounted.flags().iter().chain([&policies])).await;
    let trust = mounted.trust();

    measure(&trust, &server, MEASURE / 4).await;
    for spinning in [1, 2, 4] {
        for attempt in 1..=ATTEMPTS {
            let (median, p95) = measure(&trust, &server, MEASURE / 2).await;
            let mut spinners = JoinSet::new();
            for _ in 0..spinning {
                spinners.spawn(spin(Client::new(&trust, server.address)));
            }
            let (beside_median, beside_p95) = measure(&trust, &server, MEASURE).await;
            spinners.shutdown().await;
            println!(
                "neighbours: {spinning} spinning: median {median:.2?} -> {beside_median:.2?} ({:.1} x), p95 {p95:.2?} -> {beside_p95:.2?} ({:.1} x)",
                beside_median.as_secs_f64() / median.as_secs_f64(),
                beside_p95.as_secs_f64() / p95.as_secs_f64(),
            );
            // Turns of the scheduler come on top, where there are no more processors than spinners.
            if beside_median <= 4 * median + Duration::from_millis(5)
                && beside_p95 <= 4 * p95 + Duration::from_millis(50)
            {
                break;
            }
            assert!(
                attempt < ATTEMPTS,
                "beside {spinning}: {median:?} -> {beside_median:?}, {p95:?} -> {beside_p95:?}"
            );
        }
    }
    // They were stopped by their time, so they did spin.
    assert!(server.metric("fedcar_admission_requests_total", &["policy=\"loop\"", "outcome=\"deadline\""]).await > 0);
    server.runs();
}

/// Keeps one call spinning.
async fn spin(mut client: Client) {
    loop {
        let reply = client.post("/validate/loop?timeout=1s", Asked::of_size(LARGE).body).await.unwrap();
        assert_eq!(reply.status, 504);
    }
}

/// Median and 95th percentile of the good policy.
async fn measure(trust: &Trust, server: &Server, time: Duration) -> (Duration, Duration) {
    let mut client = Client::new(trust, server.address);
    let (begin, mut took) = (Instant::now(), Vec::new());
    while begin.elapsed() < time {
        let asked = Asked::new();
        let reply = client.post(GOOD, asked.body.clone()).await.unwrap();
        asked.proven(&reply, &[VERSION.to_owned()]).unwrap();
        took.push(reply.took);
    }
    took.sort_unstable();
    (took[took.len() / 2], took[took.len() * 95 / 100])
}
