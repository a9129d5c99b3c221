//! Where log lines go: to standard error, one write for each line.
//!
//! A line that cannot be written is lost; a reader of standard error that went away must not end a request.

use std::io::{self, Write as _};

use anstream::{AutoStream, ColorChoice};
use tracing::subscriber::{SetGlobalDefaultError, set_global_default};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry;

use super::line;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people; in colour where standard error is a terminal.
    Text,
    /// One JSON object a line (<https://jsonlines.org>).
    Json,
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The filter cannot be read.
    #[error("expected a log filter such as `info` or `warn,fedcar=debug`, found `{found}`")]
    Filter {
        /// The filter.
        found: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// Something else in this process logs already.
    #[error("cannot become the log of this process")]
    Taken(#[from] SetGlobalDefaultError),
}

/// Starts the log of this process. `filter` is a level, or a list of targets with levels, as
/// [`tracing_subscriber::EnvFilter`] reads it.
pub fn init(format: LogFormat, filter: &str) -> Result<(), LogError> {
    let colour = AutoStream::choice(&io::stderr()) != ColorChoice::Never;
    let write = |line: &str| {
        let _ = io::stderr().lock().write_all(line.as_bytes());
    };
    Ok(set_global_default(subscriber(format, filter, colour, write)?)?)
}

fn subscriber<W>(format: LogFormat, filter: &str, colour: bool, write: W) -> Result<impl Subscriber, LogError>
where
    W: Fn(&str) + Send + Sync + 'static,
{
    let filter =
        EnvFilter::builder().parse(filter).map_err(|source| LogError::Filter { found: filter.to_owned(), source })?;
    Ok(registry().with(filter).with(Lines { format, colour, write }))
}

/// Writes each event as one line. Spans are not shown: what a line says is in the line.
struct Lines<W> {
    format: LogFormat,
    colour: bool,
    write: W,
}

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber,
    W: Fn(&str) + 'static,
{
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut now = String::new();
        // RFC 3339 in UTC, with microseconds. It fails where the clock is outside of all calendars.
        let _ = SystemTime.format_time(&mut Writer::new(&mut now));
        (self.write)(&match self.format {
            LogFormat::Text => line::text(event, &now, self.colour),
            LogFormat::Json => line::json(event, &now),
        });
    }
}

#[cfg(test)]
mod tests {
    use std::fmt;
    use std::sync::{Arc, Mutex};

    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
    use serde_json::Value;
    use tracing::subscriber::with_default;
    use tracing::{debug, error, info};

    use super::super::line::MAX_VALUE_BYTES;
    use super::*;

    /// Ways to write what was not meant: lines, fields, colours, invisible text, other directions.
    const HOSTILE: [&str; 12] = [
        "a\n2026-11-23T10:00:00.000000Z  INFO fedcar: allowed uid=1",
        "a\r\nb",
        "a\rb",
        "\u{1b}[2J\u{1b}]0;title\u{7}",
        "\u{9b}31m",
        "x uid=1 outcome=allowed",
        "x\" uid=\"1",
        "back\\slash \\n",
        "\u{202e}desrever\u{202c}",
        "a\u{2028}b\u{2029}c\u{85}d",
        "\u{0}\u{8}\u{c}\u{7f}\u{feff}",
        "\u{e0001}\u{1f600}",
    ];

    fn logged(format: LogFormat, colour: bool, filter: &str, log: impl FnOnce()) -> String {
        let lines = Arc::new(Mutex::new(String::new()));
        let to = Arc::clone(&lines);
        let write = move |line: &str| to.lock().unwrap().push_str(line);
        with_default(subscriber(format, filter, colour, write).unwrap(), log);
        lines.lock().unwrap().clone()
    }

    fn say_everywhere(value: &str) {
        let error = io::Error::other(value.to_owned());
        info!(text = value, display = %value, debug = ?value, error = &error as &dyn std::error::Error, "{value}");
    }

    #[test]
    fn a_text_line_reads_well() {
        let line = logged(LogFormat::Text, false, "info", || {
            let (uid, took_ms, count, why) = ("3f0a", 1.5, 3_u64, "too large");
            info!(target: "fedcar::server", uid, took_ms, count, ok = true, why, "answered");
        });
        let (timestamp, rest) = line.split_at(27);
        assert_eq!(rest, "  INFO fedcar::server: answered uid=3f0a took_ms=1.5 count=3 ok=true why=\"too large\"\n");
        let shape: String =
            timestamp.chars().map(|character| if character.is_ascii_digit() { '9' } else { character }).collect();
        assert_eq!(shape, "9999-99-99T99:99:99.999999Z");
    }

    #[test]
    fn a_json_line_is_one_flat_object() {
        let line = logged(LogFormat::Json, true, "info", || {
            let (uid, took_ms, count, not, level) = ("3f0a", 1.5, -3, f64::NAN, "mine");
            info!(target: "fedcar::server", uid, took_ms, count, ok = true, r#type = "x", not, level, "answered");
        });
        let object: serde_json::Map<String, Value> = serde_json::from_str(&line).unwrap();
        assert_eq!(object.len(), 11);
        let (timestamp, rest) = line.split_at(r#"{"timestamp":"2026-11-23T10:00:00.000000Z""#.len());
        assert!(timestamp.starts_with(r#"{"timestamp":"2"#) && timestamp.ends_with("Z\""), "{timestamp}");
        let expected = concat!(
            r#","level":"INFO","target":"fedcar::server","message":"answered","uid":"3f0a","took_ms":1.5,"count":-3,"#,
            r#""ok":true,"type":"x","not":"NaN","field.level":"mine"}"#,
            "\n"
        );
        assert_eq!(rest, expected);
    }

    #[test]
    fn hostile_values_stay_within_their_line_and_field() {
        for value in HOSTILE {
            let text = logged(LogFormat::Text, false, "info", || say_everywhere(value));
            let end = text.strip_suffix('\n').unwrap();
            assert!(
                end.chars().all(|character| character.escape_debug().len() == 1 || "\"\\'".contains(character)),
                "{end}"
            );
            assert_eq!(text.lines().count(), 1, "{text}");
            // Outside of quotation marks there are the four fields that were logged and no others.
            let outside: String = unquoted(end);
            let fields: Vec<&str> = outside.split(' ').filter(|word| word.contains('=')).collect();
            assert_eq!(fields.len(), 4, "{outside}");

            let json = logged(LogFormat::Json, false, "info", || say_everywhere(value));
            let end = json.strip_suffix('\n').unwrap();
            assert!(
                end.chars().all(|character| character.escape_debug().len() == 1 || "\"\\'".contains(character)),
                "{end}"
            );
            let object: serde_json::Map<String, Value> = serde_json::from_str(end).unwrap();
            assert_eq!(object.len(), 8, "{json}");
            for field in ["message", "text", "display", "error"] {
                assert_eq!(object[field], value, "{field}");
            }
        }
    }

    /// The line without what is in quotation marks.
    fn unquoted(line: &str) -> String {
        let mut inside = false;
        let mut escaped = false;
        line.chars()
            .filter(|character| {
                let quote = *character == '"' && !escaped;
                escaped = *character == '\\' && !escaped;
                inside ^= quote;
                !inside && !quote
            })
            .collect()
    }

    proptest! {
        #[test]
        fn any_text_arrives_in_json_as_it_was(value in any::<String>()) {
            let json = logged(LogFormat::Json, false, "info", || info!(value, "x"));
            let object: serde_json::Map<String, Value> = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(object["value"].as_str(), Some(value.as_str()));
            prop_assert!(json.lines().count() == 1 && !json.trim_end_matches('\n').contains(char::is_control));
        }
    }

    #[test]
    fn long_values_are_cut_between_characters() {
        for (value, kept) in [
            ("a".repeat(MAX_VALUE_BYTES), MAX_VALUE_BYTES),
            ("a".repeat(MAX_VALUE_BYTES + 1), MAX_VALUE_BYTES),
            ("é".repeat(MAX_VALUE_BYTES), MAX_VALUE_BYTES),
            (format!("a{}", "é".repeat(MAX_VALUE_BYTES)), MAX_VALUE_BYTES - 1),
            ("\n".repeat(5_000_000), MAX_VALUE_BYTES),
        ] {
            let json = logged(LogFormat::Json, false, "info", || say_everywhere(&value));
            let object: serde_json::Map<String, Value> = serde_json::from_str(&json).unwrap();
            let mut expected = value[..kept].to_owned();
            if kept < value.len() {
                expected.push('…');
            }
            for field in ["message", "text", "display", "error"] {
                assert_eq!(object[field], expected, "{field}");
            }
            assert!(json.len() < 12 * MAX_VALUE_BYTES);
        }
    }

    #[test]
    fn what_is_longer_than_its_limit_is_not_formatted_to_its_end() {
        struct Endless;
        impl fmt::Display for Endless {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                loop {
                    f.write_str("again and ")?;
                }
            }
        }
        let line = logged(LogFormat::Text, false, "info", || info!(endless = %Endless, after = 1, "x"));
        assert!(line.len() < 2 * MAX_VALUE_BYTES && line.ends_with("…\" after=1\n"), "{line}");
    }

    #[test]
    fn an_error_is_logged_with_its_causes() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot read {0}")]
        struct Outer(&'static str, #[source] io::Error);
        let outer = Outer("tls.crt", io::Error::other("gone"));
        let line = logged(LogFormat::Text, false, "info", || {
            error!(error = &outer as &dyn std::error::Error, "no reload");
        });
        assert!(line.ends_with("no reload error=\"cannot read tls.crt: gone\"\n"), "{line}");
    }

    #[test]
    fn colour_is_for_text_on_terminals() {
        let escapes = |format, colour| logged(format, colour, "info", || info!("x")).contains('\u{1b}');
        assert!(escapes(LogFormat::Text, true));
        assert!(!escapes(LogFormat::Text, false));
        assert!(!escapes(LogFormat::Json, true));
    }

    #[test]
    fn the_filter_decides() {
        let log = || {
            debug!(target: "fedcar::server", "ours");
            debug!(target: "hyper::proto", "theirs");
        };
        for (filter, lines) in [("info", 0), ("debug", 2), ("warn,fedcar=debug", 1), ("fedcar=debug", 1), ("off", 0)] {
            assert_eq!(logged(LogFormat::Text, false, filter, log).lines().count(), lines, "{filter}");
        }
        for filter in ["fedcar=loud", "a=b=c", "=", "info,,[{"] {
            let error = subscriber(LogFormat::Text, filter, false, |_| ()).err().map(|error| error.to_string());
            assert!(error.is_some_and(|error| error.contains(&format!("found `{filter}`"))), "{filter}");
        }
    }
}
