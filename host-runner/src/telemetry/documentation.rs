//! `docs/telemetry.md` is held against the code, so that no metric, word, attribute or field is without a line in it.

use std::collections::BTreeSet;
use std::time::SystemTime;

use super::labels::{HandshakeFailure, Operation, Outcome, Phase, Refused, ReloadResult, Reloaded, TraceLoss};
use super::metrics::Metrics;
use super::{exposition, line, span};

const TEXT: &str = include_str!("../../../docs/telemetry.md");

#[test]
fn every_metric_is_documented() {
    let metrics = Metrics::new("sha256:0");
    let _policy = metrics.policy("inject");
    metrics.certificate_expires(SystemTime::now());
    let shown = exposition::parse(&metrics.render()).expect("it is valid");
    let expected: BTreeSet<[String; 5]> = shown
        .families
        .iter()
        .map(|(name, family)| {
            let suffix = match family.kind.as_str() {
                "counter" => "_total",
                "info" => "_info",
                _ => "",
            };
            let labels: Vec<String> = family.samples[0]
                .labels
                .iter()
                .filter(|(label, _)| label != "le")
                .map(|(label, _)| format!("`{label}`"))
                .collect();
            let unit = family.unit.clone().unwrap_or_default();
            let meaning = family.help.trim_end_matches('.').to_owned();
            [format!("`{name}{suffix}`"), family.kind.clone(), labels.join(", "), unit, meaning]
        })
        .collect();
    let documented: BTreeSet<[String; 5]> = rows("Metrics")
        .into_iter()
        .map(|row| <[String; 5]>::try_from(row[..5].to_vec()).expect("five of six columns"))
        .collect();
    assert_eq!(documented, expected);
}

#[test]
fn every_word_is_documented() {
    macro_rules! check {
        ($($section:literal: $set:ident,)*) => {$({
            let expected: Vec<Vec<String>> = $set::ALL
                .iter()
                .map(|case| vec![format!("`{}`", case.as_str()), case.sentence().to_owned()])
                .collect();
            assert_eq!(rows($section), expected, "{}", $section);
        })*};
    }
    check! {
        "`phase`": Phase,
        "`operation`": Operation,
        "`outcome`": Outcome,
        "`reason` of refused requests": Refused,
        "`what` of reloads": Reloaded,
        "`result` of reloads": ReloadResult,
        "`reason` of failed handshakes": HandshakeFailure,
        "`reason` of lost traces": TraceLoss,
    }
}

#[test]
fn every_attribute_and_field_is_documented() {
    let first = |section| rows(section).into_iter().map(|row| row[0].clone()).collect::<Vec<_>>();
    assert_eq!(first("Traces"), span::ATTRIBUTES.map(|name| format!("`{name}`")));
    assert!(TEXT.contains(&format!("`{}`", span::NAME)));
    assert_eq!(first("Logs"), line::FIELDS.map(|name| format!("`{name}`")));
}

/// The cells of the table below a heading, without its first two lines.
fn rows(heading: &str) -> Vec<Vec<String>> {
    TEXT.lines()
        .skip_while(|line| line.trim_start_matches('#').trim() != heading || !line.starts_with('#'))
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect()
}
