//! Lines that a policy writes to the log (`tracing/log`).
//!
//! A line never fails: Kubewarden's SDK ends the policy when one does. Only level and message are passed on; the other
//! fields of a line may quote the request.

use serde::Deserialize;

/// What is kept of a message.
const MESSAGE_BYTES: usize = 1024;

#[derive(Deserialize)]
struct Line {
    level: String,
    #[serde(default)]
    message: Option<String>,
}

/// Passes a line on as an event.
pub(super) fn forward(policy: &str, payload: &[u8]) {
    let Ok(line) = serde_json::from_slice::<Line>(payload) else {
        tracing::debug!(policy, "a policy wrote a log line without a level");
        return;
    };
    let message = printable(&line.message.unwrap_or_default());
    match line.level.to_ascii_lowercase().as_str() {
        "trace" => tracing::trace!(target: "fedcar::policy", policy, "{message}"),
        "debug" => tracing::debug!(target: "fedcar::policy", policy, "{message}"),
        "warning" | "warn" => tracing::warn!(target: "fedcar::policy", policy, "{message}"),
        "error" | "critical" => tracing::error!(target: "fedcar::policy", policy, "{message}"),
        _ => tracing::info!(target: "fedcar::policy", policy, "{message}"),
    }
}

/// The beginning of a message, as one line.
fn printable(message: &str) -> String {
    let kept = message.get(..message.floor_char_boundary(MESSAGE_BYTES)).unwrap_or_default();
    kept.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_short_and_on_one_line() {
        assert_eq!(printable("a\nb\u{1b}[31m"), "a b [31m");
        assert_eq!(printable(&"é".repeat(1000)), "é".repeat(512));
        assert_eq!(printable(&format!("x{}", "é".repeat(1000))).len(), 1023);
    }
}
