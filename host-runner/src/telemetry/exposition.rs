//! A strict reader of the `OpenMetrics` text format, for tests: what a scraper might be lenient about is an error.

use std::collections::{BTreeMap, BTreeSet};

/// Names and values.
type Labels = Vec<(String, String)>;

/// Everything that was in the text.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    pub(super) families: BTreeMap<String, MetricFamily>,
}

#[derive(Debug, Default)]
pub(super) struct MetricFamily {
    pub(super) kind: String,
    pub(super) help: String,
    pub(super) unit: Option<String>,
    pub(super) samples: Vec<Sample>,
}

#[derive(Debug)]
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) labels: Labels,
    pub(super) value: f64,
}

impl Sample {
    pub(super) fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str())
    }

    /// The labels in order, without one.
    fn key(&self, without: &str) -> Labels {
        let mut key: Vec<_> = self.labels.iter().filter(|(name, _)| name != without).cloned().collect();
        key.sort();
        key
    }
}

impl Exposition {
    pub(super) fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.families.values().flat_map(|family| &family.samples)
    }

    /// The value of the one sample with exactly these labels.
    pub(super) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.samples()
            .find(|sample| {
                sample.name == name
                    && sample.labels.len() == labels.len()
                    && labels.iter().all(|(label, value)| sample.label(label) == Some(value))
            })
            .map(|sample| sample.value)
    }
}

pub(super) fn parse(text: &str) -> Result<Exposition, String> {
    let body = text.strip_suffix("# EOF\n").ok_or("expected `# EOF` and a line feed at the end")?;
    let mut all = Exposition::default();
    let mut current = String::new();
    for line in body.split_inclusive('\n') {
        let line = line.strip_suffix('\n').ok_or_else(|| format!("no line feed after `{line}`"))?;
        if let Some(comment) = line.strip_prefix("# ") {
            let [keyword, name, rest] = comment.splitn(3, ' ').collect::<Vec<_>>()[..] else {
                return Err(format!("not a descriptor: `{line}`"));
            };
            if name != current && all.families.insert(name.to_owned(), MetricFamily::default()).is_some() {
                return Err(format!("{name} is not in one piece"));
            }
            name.clone_into(&mut current);
            let family = all.families.get_mut(name).expect("it was inserted");
            if !family.samples.is_empty() {
                return Err(format!("descriptor behind samples: `{line}`"));
            }
            match keyword {
                "HELP" if family.help.is_empty() => rest.clone_into(&mut family.help),
                "TYPE" if family.kind.is_empty() => rest.clone_into(&mut family.kind),
                "UNIT" if family.unit.is_none() => family.unit = Some(rest.to_owned()),
                _ => return Err(format!("unknown or repeated: `{line}`")),
            }
        } else {
            let sample = sample(line).ok_or_else(|| format!("not a sample: `{line}`"))?;
            let family = all.families.get_mut(&current).ok_or("a sample before all descriptors")?;
            family.samples.push(sample);
        }
    }
    for (name, family) in &all.families {
        check(name, family).map_err(|problem| format!("{name}: {problem}"))?;
    }
    Ok(all)
}

fn sample(line: &str) -> Option<Sample> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = Vec::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            if rest.starts_with('}') && labels.is_empty() {
                break;
            }
            let (label, after) = rest.split_once("=\"")?;
            let (value, after) = quoted(after)?;
            if !is_name(label) {
                return None;
            }
            labels.push((label.to_owned(), value));
            let Some(next) = after.strip_prefix(',') else {
                rest = after;
                break;
            };
            rest = next;
        }
        rest = rest.strip_prefix('}')?;
    }
    let value = rest.strip_prefix(' ')?;
    if !is_name(name) || value.contains(' ') {
        return None;
    }
    Some(Sample { name: name.to_owned(), labels, value: value.parse().ok()? })
}

/// The text up to the closing quotation mark, and what stands behind it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                escaped @ ('"' | '\\') => value.push(escaped),
                _ => return None,
            },
            '\n' => return None,
            _ => value.push(character),
        }
    }
    None
}

fn is_name(name: &str) -> bool {
    !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn check(name: &str, family: &MetricFamily) -> Result<(), String> {
    let MetricFamily { kind, help, unit, samples } = family;
    if help.len() < 10 || help.contains('\\') || !name.starts_with("fedcar_") {
        return Err("expected the prefix fedcar_ and a help text".to_owned());
    }
    if unit.as_ref().is_some_and(|unit| !name.ends_with(&format!("_{unit}"))) {
        return Err(format!("the name does not end with its unit {unit:?}"));
    }
    if samples.is_empty() {
        return Err("no samples".to_owned());
    }
    let mut seen = BTreeSet::new();
    for sample in samples {
        let suffix = sample.name.strip_prefix(name).ok_or_else(|| format!("foreign sample {}", sample.name))?;
        let allowed: &[&str] = match kind.as_str() {
            "counter" => &["_total"],
            "gauge" => &[""],
            "info" => &["_info"],
            "histogram" => &["_bucket", "_count", "_sum"],
            other => return Err(format!("unknown type {other}")),
        };
        let fits = match suffix {
            "_total" | "_count" | "_bucket" => sample.value >= 0.0 && sample.value.fract() == 0.0,
            "_info" => (sample.value - 1.0).abs() < f64::EPSILON,
            "_sum" => sample.value >= 0.0 && sample.value.is_finite(),
            _ => sample.value.is_finite(),
        };
        if !allowed.contains(&suffix) || !fits {
            return Err(format!("a {kind} cannot have {sample:?}"));
        }
        let names: BTreeSet<&str> = sample.labels.iter().map(|(label, _)| label.as_str()).collect();
        if names.len() != sample.labels.len() || !seen.insert((sample.name.clone(), sample.key(""))) {
            return Err(format!("a label or a sample twice: {sample:?}"));
        }
    }
    if kind == "histogram" { histogram(samples) } else { Ok(()) }
}

/// Buckets ascend, are cumulative, and end with `+Inf`, which is the count.
fn histogram(samples: &[Sample]) -> Result<(), String> {
    let mut series: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
    for bucket in samples.iter().filter(|sample| sample.name.ends_with("_bucket")) {
        let bound = bucket.label("le").ok_or("a bucket without a bound")?;
        let bound = bound.replace("+Inf", "inf").parse().map_err(|_| format!("bound {bound}"))?;
        series.entry(bucket.key("le")).or_default().push((bound, bucket.value));
    }
    for (key, buckets) in &series {
        let of = |suffix: &str| {
            samples.iter().find(|sample| sample.name.ends_with(suffix) && sample.key("") == *key).map(|one| one.value)
        };
        let ascending = buckets.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1);
        let last = buckets.last().ok_or("no buckets")?;
        if !ascending || last.0 < f64::INFINITY || of("_count") != Some(last.1) || of("_sum").is_none() {
            return Err(format!("not a histogram: {key:?} {buckets:?}"));
        }
    }
    Ok(())
}

#[test]
fn broken_texts_are_refused() {
    let good = "# HELP fedcar_a A help text.\n# TYPE fedcar_a counter\nfedcar_a_total{x=\"1\"} 1\n# EOF\n";
    assert!(parse(good).is_ok());
    for (what, from, to) in [
        ("no end", "# EOF\n", ""),
        ("wrong type", "counter", "summary"),
        ("wrong suffix", "_total", ""),
        ("no help", "A help text.", ""),
        ("foreign prefix", "fedcar_a", "other_a"),
        ("open quotation mark", "\"}", "}"),
        ("unknown escape", "\"1\"", "\"\\t\""),
        ("label twice", "x=\"1\"", "x=\"1\",x=\"1\""),
        ("sample twice", "# EOF", "fedcar_a_total{x=\"1\"} 1\n# EOF"),
        ("negative", "} 1", "} -1"),
        ("in two pieces", "# EOF", "# HELP fedcar_b Another help.\n# HELP fedcar_a Again.\n# EOF"),
        ("free text", "# EOF", "hello\n# EOF"),
    ] {
        let bad = good.replace(from, to);
        assert_ne!(bad, good, "{what}");
        assert!(parse(&bad).is_err(), "{what}: {bad}");
    }
}
