//! Quantities against the cases of apimachinery.

use fedcar_policy::expression::quantity::Quantity;

use super::{report, table};

fn parse(text: &str) -> Quantity {
    Quantity::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn pairs<'t>(table: &'t serde_json::Value, key: &str) -> impl Iterator<Item = (&'t str, &'t str)> {
    table[key].as_array().unwrap().iter().map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap()))
}

#[test]
fn canonical_forms() {
    let table = table("quantities.json");
    let mut failures = Vec::new();
    let mut checked = 0;
    for (text, canonical) in pairs(&table, "canonical") {
        for sign in ["", "-", "+"] {
            checked += 1;
            let expected = match sign {
                "-" if canonical != "0" => format!("-{canonical}"),
                _ => canonical.to_owned(),
            };
            let quantity = parse(&format!("{sign}{text}"));
            if quantity.canonical() != expected {
                failures.push(format!("{sign}{text}: {} instead of {expected}", quantity.canonical()));
            }
            if parse(&quantity.canonical()) != quantity {
                failures.push(format!("{sign}{text}: canonical form is another amount"));
            }
        }
    }
    report(&failures, checked);
}

#[test]
fn equal_amounts() {
    let table = table("quantities.json");
    for (left, right) in pairs(&table, "equal") {
        assert_eq!(parse(left), parse(right), "{left} {right}");
        assert_eq!(parse(&format!("-{left}")), parse(&format!("-{right}")), "-{left} -{right}");
    }
}

#[test]
fn ascending_amounts() {
    let table = table("quantities.json");
    for (less, greater) in pairs(&table, "ascending") {
        assert!(parse(less) < parse(greater), "{less} {greater}");
        assert!(parse(&format!("-{less}")) > parse(&format!("-{greater}")), "-{less} -{greater}");
    }
}

#[test]
fn invalid_texts() {
    for text in table("quantities.json")["invalid"].as_array().unwrap() {
        let text = text.as_str().unwrap();
        assert!(Quantity::parse(text).is_err(), "{text} parsed unexpectedly");
    }
}

#[test]
fn zero_takes_the_suffix_of_the_other() {
    let zero = parse("0");
    for text in ["100m", "1Gi"] {
        let quantity = parse(text);
        assert_eq!(quantity.checked_add(zero).unwrap().canonical(), text);
        assert_eq!(zero.checked_add(quantity).unwrap().canonical(), text);
        assert_eq!(quantity.checked_sub(zero).unwrap().canonical(), text);
        assert_eq!(zero.checked_sub(quantity).unwrap().canonical(), format!("-{text}"));
    }
}

#[test]
fn percentages() {
    let cases = [
        ("1", "5", "50m"),
        ("128Mi", "50", "64Mi"),
        ("3", "33", "990m"),
        ("1n", "1", "1n"),
        ("-1n", "1", "-1n"),
        ("1", "2.5", "25m"),
        ("1Gi", "0.1", "1073741824m"),
        ("1", "0.000000001", "1n"),
        ("8", "1000", "80"),
        ("0", "1000", "0"),
    ];
    for (text, percent, scaled) in cases {
        assert_eq!(parse(text).scale_percent(parse(percent)).canonical(), scaled, "{percent} % of {text}");
    }
    let five_percent = parse("100Mi").scale_percent(parse("5"));
    assert_eq!(five_percent.round_up_to_unit().canonical(), "5Mi");
    assert_eq!(parse("101").scale_percent(parse("1")).canonical(), "1010m");
    assert_eq!(parse("101").scale_percent(parse("1")).round_up_to_unit().canonical(), "2");
    assert_eq!(parse("10001u").round_up_to_milli().canonical(), "11m");
    assert_eq!(parse("-9.01").round_up_to_unit().canonical(), "-10");
    // Beyond the range it stays at its end.
    let many = parse(&u64::MAX.to_string());
    let most = parse("100000000000E").scale_percent(many);
    assert!(most.scale_percent(many) >= most);
    assert_eq!(most.saturating_add(most), most);
    assert_eq!(parse("1Gi").saturating_add(parse("1")).canonical(), "1073741825");
}
