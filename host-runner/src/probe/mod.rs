//! Looking at clusters: what `fedcar probe` lists of a live one, and what it takes from files that somebody has exported.
//!
//! What the objects say is decided in `fedcar_policy::federation`. Invariants: a kind that cannot be listed stays unknown
//! and is told; a cluster that does not answer to the end gives nothing at all, so that what was known of it stays; and
//! nothing of a kubeconfig, a credential or a credential plugin's words is in any text.

mod cluster;
mod connection;
mod export;

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use cluster::look;
pub(crate) use cluster::{Seen, Unseen};
use connection::ContextError;
pub(crate) use connection::{Contexts, ContextsError};
pub(crate) use export::add;

/// How many clusters are looked at at once: each may send pages of megabytes.
const AT_ONCE: usize = 8;

/// Looks at the cluster of each context, and answers in their order; each answer of a cluster may take `patience`.
///
/// `told` hears of each cluster when it is done, by its position.
pub(crate) async fn look_at_all(
    contexts: &Contexts,
    names: &[&str],
    patience: Duration,
    mut told: impl FnMut(usize),
) -> Vec<Result<Seen, Unseen>> {
    let looks = names
        .iter()
        .enumerate()
        .map(|(index, name)| async move { (index, look_at(contexts.clone(), (*name).to_owned(), patience).await) });
    let mut looks = stream::iter(looks).buffer_unordered(AT_ONCE);
    let mut seen = Vec::new();
    while let Some(done) = looks.next().await {
        told(done.0);
        seen.push(done);
    }
    seen.sort_by_key(|(index, _)| *index);
    seen.into_iter().map(|(_, seen)| seen).collect()
}

async fn look_at(contexts: Contexts, name: String, patience: Duration) -> Result<Seen, Unseen> {
    let runtime = Handle::current();
    let unusable = ContextError::Unusable(name.clone());
    // On a thread of its own: a credential plugin may take as long as it likes.
    let connected = spawn_blocking(move || runtime.block_on(contexts.client(&name, patience)));
    let client = timeout(patience, connected).await.map_err(|_| Unseen::Late(patience))?;
    look(client.map_err(|_| unusable)??, patience).await
}
