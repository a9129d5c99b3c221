//! `fedcar serve` as it runs: the real binary behind TLS on 127.0.0.1, asked as an API server asks it.
//!
//! | what is shown | file |
//! |---|---|
//! | certificates, settings and the process are swapped under load without a failed request | `swaps` |
//! | it stops without a failed request, and a killed neighbour costs only its own | `drain` |
//! | what harmful modules end as | `hostile_guests` |
//! | what requests end as that are none | `hostile_requests` |
//! | what clients end as that take their time, or all connections | `hostile_clients` |
//! | how much memory large bodies take | `memory` |
//! | a policy that spins does not take another one's place | `neighbours` |
//! | more requests than can be answered cost few of those that can | `overload` |
//! | nothing of one request is visible to another | `canary` |
//!
//! What they share: the process (`support`), a client (`client`), certificates (`mounted`), requests and the proof of
//! their answers (`reviews`), modules (`guests`), several servers behind one name (`service`), and bytes that no proper client sends (`wire`).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests: they end a test by panicking"
)]

mod canary;
mod client;
mod drain;
mod guests;
mod hostile_clients;
mod hostile_guests;
mod hostile_requests;
mod memory;
mod mounted;
mod neighbours;
mod overload;
mod reviews;
mod service;
mod support;
mod swaps;
mod wire;
