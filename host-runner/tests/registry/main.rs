//! What image references stand for: asked from Docker's own registry on this machine, read from folders, and from servers
//! that mean no good.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests: they end a test by panicking"
)]

mod federation;
mod hostile;
mod images;
mod layout;
mod module;
mod registry;
mod server;
