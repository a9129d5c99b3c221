//! Sources and data that want to exhaust something.

use fedcar_policy::expression::template::Template;
use fedcar_policy::expression::{Budget, Expression};
use serde_json::{Value, json};

use super::Names;

/// Runs on a stack as small as a Wasm module's.
fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(1 << 20).spawn(test).unwrap().join().unwrap();
}

fn message(source: &str, units: u64) -> String {
    let scope = json!({ "long": "x".repeat(1 << 20), "list": vec![0; 1000] });
    match Expression::parse(source).and_then(|parsed| parsed.evaluate(&Names(&scope), &mut Budget::new(units))) {
        Ok(value) => format!("{value:?}"),
        Err(error) => error.message,
    }
}

#[test]
fn deep_sources_are_refused() {
    on_a_small_stack(|| {
        for (open, close) in
            [("(", ")"), ("[", "]"), ("!", ""), ("-", ""), ("{'a':", "}"), ("size(", ")"), ("a?b:", "c"), ("a[", "]")]
        {
            let source = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
            let message = Expression::parse(&source).unwrap_err().message;
            assert!(message.contains("deep"), "{open}: {message}");
        }
        for (chain, end) in [("1 + ", "1"), ("a && ", "a"), ("a.", "b"), ("[1].map(x, ", "x"), ("a.?b.", "c")] {
            let message = Expression::parse(&(chain.repeat(10_000) + end)).unwrap_err().message;
            assert!(message.contains("deep"), "{chain}: {message}");
        }
        let suffixes = format!("a{}", "[0]".repeat(10_000));
        assert_eq!(Expression::parse(&suffixes).unwrap_err().message, "expression is too deep");
    });
}

#[test]
fn what_the_limits_allow_fits_on_the_stack() {
    on_a_small_stack(|| {
        let nested = format!("{}1{}", "[".repeat(60), "]".repeat(60));
        assert!(message(&nested, 10_000).contains("Array"));
        let chain = format!("{}1", "1 + ".repeat(150));
        assert_eq!(message(&chain, 10_000), "Some(Number(151))");
        let loops = format!("{}x{}", "[1].map(x, ".repeat(60), ")".repeat(60));
        assert!(message(&loops, 10_000).contains("Array"));
    });
}

#[test]
fn long_sources_are_refused() {
    let literal = format!("'{}'", "x".repeat(1 << 20));
    assert_eq!(message(&literal, 10_000), "expression is longer than 65536 bytes");
    let many = format!("[{}]", "1,".repeat(1 << 20));
    assert_eq!(message(&many, 10_000), "expression is longer than 65536 bytes");
    assert_eq!(message(&" ".repeat(1 << 20), 10_000), "expression is longer than 65536 bytes");
}

#[test]
fn every_growth_is_paid_for() {
    const LIMIT: &str = "expression cost limit exceeded";
    for source in [
        "list.map(a, list.map(b, list.map(c, 1)))",
        "list.all(a, list.all(b, list.all(c, true)))",
        "list.exists(a, list.map(b, long + long).size() < 0)",
        "long.replace('x', long)",
        "long.replace('', long)",
        "list.map(i, long).join(long)",
        "lists.range(9223372036854775807)",
        "list.map(i, list) == list.map(i, list)",
        "list.map(i, list).flatten()",
        "list.map(i, long.split('')).size()",
        "list.map(i, long.reverse()).sort().size()",
        "list.map(i, string(i) + 'x').distinct().map(i, long.lowerAscii()).size()",
        "list.map(i, long.indexOf('y')).size()",
        "list.map(i, long == long + '').size()",
        "toJson(list.map(i, long)).size()",
        "list.transformMapEntry(i, v, {string(i): long}).size() + list.map(i, long.size()).size()",
        "fromJson('[' + list.map(i, '0').join(',') + ']').map(a, fromJson('[' + list.map(i, '[]').join(',') + ']'))",
        "list.map(i, fromJson('\"' + long + '\"'))",
        "list.map(i, list.transformMapEntry(i, v, {string(i): v}).merge({'x': i}))",
        // An operand that would decide does not make up for exhaustion.
        "list.map(a, list.map(b, 1)) == [] || true",
    ] {
        assert_eq!(message(source, 20_000), LIMIT, "{source}");
    }
}

#[test]
fn a_spent_budget_stays_spent() {
    let mut budget = Budget::new(10);
    let expression = Expression::parse("[1, 2, 3].map(x, x * x)").unwrap();
    assert!(expression.evaluate(&Names(&json!({})), &mut budget).is_err());
    assert_eq!(budget.remaining(), 0);
    assert!(Expression::parse("1").unwrap().evaluate(&Names(&json!({})), &mut budget).is_err());
}

#[test]
fn templates_are_bounded() {
    // A megabyte without expressions is only copied.
    let long = json!({ "a": "x".repeat(1 << 20), "b": "$".repeat(1 << 20) });
    let template = Template::compile(&long, &[], &Names(&json!({}))).unwrap();
    assert_eq!(template.constant(), Some(&long));
    // Unrolling stops.
    let mut nested = json!({ "forEach": "${lists.range(1000)}", "x": 1 });
    for _ in 0..5 {
        nested = json!({ "forEach": "${lists.range(1000)}", "x": [nested] });
    }
    let problems = Template::compile(&json!([nested]), &[], &Names(&json!({}))).unwrap_err();
    assert_eq!(problems[0].message, "working out what is known costs too much");
    // So does rendering, also where nothing but constants is repeated.
    let value =
        json!([{ "forEach": "${list}", "as": "a", "x": [{ "forEach": "${list}", "text": "x".repeat(10_000) }] }]);
    let template = Template::compile(&value, &["list"], &Names(&json!({}))).unwrap();
    let scope = json!({ "list": vec![0; 1000] });
    let error = template.render(&Names(&scope), &mut Budget::new(100_000)).unwrap_err();
    assert_eq!(error.message, "expression cost limit exceeded");
}

#[test]
fn deep_values_are_refused() {
    on_a_small_stack(|| {
        let mut value = json!("${1}");
        for _ in 0..500 {
            value = json!([value]);
        }
        let problems = Template::compile(&value, &[], &Names(&Value::Null)).unwrap_err();
        assert_eq!(problems[0].message, "value is nested too deep");
    });
}
