//! JSON lines through one process: each answer when it is ready, and no more memory than a line needs.

use std::io::{BufRead as _, BufReader, Write as _};

use crate::support::{Folder, pod_line};

#[test]
fn each_line_is_answered_before_the_next_is_asked() {
    let folder = Folder::new("each_line_is_answered");
    let mut child = folder.command("inject --settings settings.yaml -o patch -q").spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    for number in 0..3 {
        stdin.write_all(pod_line(&format!("p{number}"), "").as_bytes()).unwrap();
        let mut answer = String::new();
        stdout.read_line(&mut answer).unwrap();
        assert!(answer.starts_with("[{\"op\":"), "{answer}");
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn lines_before_a_bad_line_are_answered() {
    let folder = Folder::new("lines_before_a_bad_line");
    let text = format!("{}{}{{\"apiVersion\":\n", pod_line("a", ""), pod_line("b", ""));
    let ran = folder.fedcar_with("inject --settings settings.yaml", text.as_bytes()).ended_with(3);
    assert_eq!(ran.stdout.lines().count(), 2);
    ran.said("EOF while parsing a value").said("--> <stdin>:3:").said("hint: the first line is a whole value");
    let ran = folder.fedcar_with("inject --settings settings.yaml -o yaml", text.as_bytes()).ended_with(3);
    ran.printed("");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let folder = Folder::new("a_reader_that_goes_away");
    let mut child = folder.command("inject --settings settings.yaml -q").spawn().unwrap();
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    for _ in 0..100 {
        if stdin.write_all(pod_line("a", "").as_bytes()).is_err() {
            break;
        }
    }
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), b"".as_slice()));
}
