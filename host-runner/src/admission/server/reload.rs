//! What changes while the server runs: certificates, settings, policies. The new is used when it is good, and the old
//! serves on when it is not.
//!
//! Files are looked at, not waited for: Kubernetes swaps a symbolic link two folders up, which a watch on the file misses
//! from the second time on. What is looked at is small.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::Shared;
use crate::admission::policies::{Loader, Look, PoliciesSource};
use crate::admission::tls::Refresh;
use crate::problem::in_full;
use crate::telemetry::{ReloadResult, Reloaded};

const LOOK_AT_CERTIFICATES: Duration = Duration::from_secs(1);
const LOOK_AT_POLICIES: Duration = Duration::from_millis(500);

/// Keeps the certificates fresh, for ever.
pub(super) async fn certificates(shared: Arc<Shared>) {
    loop {
        sleep(LOOK_AT_CERTIFICATES).await;
        let looking = Arc::clone(&shared);
        let looked = spawn_blocking(move || looking.tls.as_ref().map(super::Tls::refresh)).await;
        match looked.ok().flatten() {
            None | Some(Refresh::Unchanged) => {}
            Some(Refresh::Swapped { not_after }) => {
                shared.metrics.certificate_expires(not_after);
                shared.metrics.reload(Reloaded::Certificate, ReloadResult::Ok);
                tracing::info!("serving with a new certificate");
            }
            Some(Refresh::Kept(error)) => {
                shared.metrics.reload(Reloaded::Certificate, ReloadResult::Rejected);
                tracing::error!(error = in_full(&error), "the new certificate cannot be used; the old one stays");
            }
        }
    }
}

/// Keeps the policies fresh, for ever. `seen` is what the files looked like before they were loaded first.
pub(super) async fn policies(shared: Arc<Shared>, loader: Option<(Loader, Look)>) {
    let Some((loader, mut seen)) = loader else { return };
    let loader = Arc::new(loader);
    let what = match loader.source {
        PoliciesSource::Settings(_) => Reloaded::Settings,
        PoliciesSource::Policies(_) => Reloaded::Policies,
    };
    loop {
        sleep(LOOK_AT_POLICIES).await;
        let (loading, before) = (Arc::clone(&loader), seen.clone());
        let changed = spawn_blocking(move || {
            let found = loading.look_again(&before);
            // What is loaded was written after this look, or is what it saw: a later change differs from it.
            (found != before).then(|| (found, loading.load()))
        });
        let (result, said) = match changed.await {
            Ok(None) => continue,
            Ok(Some((found, policies))) => {
                seen = found;
                match policies {
                    Ok(policies) => {
                        shared.replace_policies(policies);
                        (ReloadResult::Ok, String::new())
                    }
                    Err(failure) => (ReloadResult::Rejected, in_full(&failure)),
                }
            }
            Err(panic) => (ReloadResult::Rejected, panic.to_string()),
        };
        shared.metrics.reload(what, result);
        match result {
            ReloadResult::Ok => tracing::info!(what = what.as_str(), "serving with what changed"),
            ReloadResult::Rejected => {
                tracing::error!(what = what.as_str(), error = said, "what changed cannot be used; the old serves on");
            }
        }
    }
}
