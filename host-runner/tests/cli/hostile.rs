//! Inputs that are wrong in every way: an error with its place, the documented code, nothing on standard output.

use crate::support::{Folder, pod};

#[track_caller]
fn refused(folder: &Folder, input: &[u8], place: &str, message: &str) {
    let ran = folder.fedcar_with("inject --settings settings.yaml", input).ended_with(3);
    ran.printed("").said(&format!("--> <stdin>:{place}\n")).said(message);
}

#[test]
fn bad_text_is_refused_with_its_place() {
    let folder = Folder::new("bad_text_is_refused");
    let deep = |open: &str, close: &str| format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
    for (input, place, message) in [
        (b"a: 1\nb: \xff\n".to_vec(), "2:4", "expected UTF-8 text, found the byte 0xff"),
        (b"a: 1\na: 2\n".to_vec(), "2:1", "duplicate key `a`"),
        (b"{\"a\": 1, \"a\": 2}".to_vec(), "1:12", "duplicate key `a`"),
        (b"a: \"x\n".to_vec(), "1:4", "error: "),
        (b"{\"a\": ".to_vec(), "1:5", "EOF while parsing a value"),
        (deep("[", "]").into_bytes(), "1:121", "nested deeper than 120 levels"),
        (format!("a: {}", deep("[", "]")).into_bytes(), "1:124", "nested deeper than 120 levels"),
        (format!("a: {}", deep("{a: ", "}")).into_bytes(), "1:480", "nested deeper than 120 levels"),
        (b"a: {{ .Values.image }}\n".to_vec(), "1:5", "must be quoted"),
        (b"a: !secret x\n".to_vec(), "1:4", "the tag `!secret` has no JSON form here"),
    ] {
        refused(&folder, &input, place, message);
    }
}

#[test]
fn binary_garbage_is_refused() {
    let folder = Folder::new("binary_garbage_is_refused");
    let mut state = 1_u32;
    let garbage: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    })
    .take(10_000)
    .collect();
    for input in [garbage.as_slice(), b"\0\0\0\0", b"\x7fELF\x02\x01", b"\xff\xfea\0:\0"] {
        folder.fedcar_with("inject --settings settings.yaml", input).ended_with(3).printed("");
    }
}

#[test]
fn alias_bombs_are_refused() {
    let folder = Folder::new("alias_bombs_are_refused");
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let list = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb = format!("{bomb}a{level}: &a{level} [{list}]\n");
    }
    let ran = folder.fedcar_with("inject --settings settings.yaml", bomb.as_bytes()).ended_with(3);
    ran.printed("").said("aliases multiply");
}

#[test]
fn huge_strings_pass() {
    let folder = Folder::new("huge_strings_pass");
    let huge = "x".repeat(2 << 20);
    let text = pod("a", "").replace("image: app:1", &format!("image: app:1, args: [{huge}]"));
    let ran = folder.fedcar_with("inject --settings settings.yaml", text.as_bytes()).ended_with(0);
    assert!(ran.stdout.contains(&huge));
    assert!(ran.stdout.contains("otel/collector:1"));
}

#[test]
fn objects_of_the_wrong_shape_are_the_inputs_fault() {
    let folder = Folder::new("objects_of_the_wrong_shape");
    for spec in ["spec: 3", "spec: [x]"] {
        let text = format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\n{spec}\n");
        let ran = folder.fedcar_with("inject --settings settings.yaml", text.as_bytes()).ended_with(3);
        ran.printed("").said("error: <stdin>:1: no decision on pod/a: ");
    }
    for text in ["apiVersion: v1\nkind: 7\n", "apiVersion: [v1]\nkind: Pod\n", "kind: List\nitems: 3\n", "7\n"] {
        folder.fedcar_with("inject --settings settings.yaml", text.as_bytes()).ended_with(0).printed(text);
    }
}

#[test]
fn a_tampered_object_is_not_restored() {
    let folder = Folder::new("a_tampered_object_is_not_restored");
    let injected = folder.fedcar_with("inject --settings settings.yaml", pod("a", "").as_bytes()).ended_with(0).stdout;
    let tampered = injected.replace("otel/collector:1", "evil/collector:1");
    folder.fedcar_with("uninject", tampered.as_bytes()).ended_with(3).printed("").said("cannot be restored");
}
