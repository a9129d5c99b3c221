//! What is written down about requests.

use super::super::lists::each;
use super::super::traffic::{header_name_schema, read_header_name};
use crate::read::{Node, Problems};
use crate::schema::Schema;

/// What is written down about requests, one line each, to the proxy's standard output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// Which requests.
    pub log: Logged,
    /// Headers that are written down; of no other the value is.
    pub headers: Vec<String>,
}

/// Which requests are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Logged {
    /// Every one.
    All,
    /// Those that were refused.
    Denied,
}

const LOGGED: [(&str, Logged); 2] = [("all", Logged::All), ("denied", Logged::Denied)];

/// Headers whose values are keys to something.
const SECRET: [&str; 4] = ["authorization", "proxy-authorization", "cookie", "set-cookie"];

impl Audit {
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let log = fields.required("log", problems).and_then(|node| node.choice(&LOGGED, problems));
        let headers = each(fields.optional("headers"), problems, |node, problems| {
            let name = read_header_name(node, problems)?;
            if SECRET.contains(&name) {
                problems.add(&node.pointer, format!("`{name}` holds a secret, which no log may have"));
            }
            Some(name.to_owned())
        });
        fields.finish(problems);
        Some(Self { log: log?, headers })
    }

    pub(super) fn schema() -> Schema {
        Schema::object([
            ("log", Schema::choice(&LOGGED)),
            ("headers", Schema::list_of(header_name_schema()).says("Headers whose values are written down.")),
        ])
        .requires(&["log"])
    }
}
