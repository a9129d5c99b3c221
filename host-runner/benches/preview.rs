//! How many workloads `fedcar preview` judges in a second, and in how much memory: a million in one `List`.
//!
//! A recipe (`just bench-preview`), not a timed test: figures belong to the machine they were taken on.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests: they end a test by panicking"
)]

#[path = "../tests/export/mod.rs"]
mod export;

use std::path::Path;
use std::time::Instant;

fn main() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/examples");
    println!("{:<42} {:>10} {:>8} {:>12} {:>8}", "documents", "workloads", "seconds", "workloads/s", "peak MB");
    for (documents, arguments, count) in [
        ("the example federation, one member", &["retail", "--cluster", "eu-1"][..], 1_000),
        ("the example federation, one member", &["retail", "--cluster", "eu-1"], 100_000),
        ("the example federation, one member", &["retail", "--cluster", "eu-1"], 1_000_000),
        ("the example federation, three members", &["retail"], 100_000),
        ("one member, against itself", &["retail", "--cluster", "eu-1", "--against", "retail"], 100_000),
    ] {
        let start = Instant::now();
        let taken = export::preview(&examples, arguments, (0..count).map(export::deployment));
        assert!(taken.stdout.contains(&format!("{count} workloads")), "{}", taken.stdout);
        let (seconds, peak) = (start.elapsed().as_secs_f64(), taken.peak_kilobytes / 1024);
        println!("{documents:<42} {count:>10} {seconds:>8.1} {:>12.0} {peak:>8}", f64::from(count) / seconds);
    }
}
