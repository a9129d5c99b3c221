//! When members may be changed: days of the week and times of the day, in a time zone of theirs.

use std::fmt;
use std::str::FromStr;

use super::super::lists::{each, unique};
use crate::read::{Node, Problems, clip};
use crate::schema::Schema;

/// A part of each week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// On these days.
    pub days: Vec<Day>,
    /// From this time on.
    pub from: Time,
    /// Until this time.
    pub to: Time,
    /// The name of the time zone, as the IANA's database has it. That there is such a zone is not known here.
    pub time_zone: String,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "a day of the week needs no sentence")]
pub enum Day {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

/// A minute of the day; 24:00 is its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    minutes: u32,
}

const DAYS: [(&str, Day); 7] = [
    ("Mon", Day::Monday),
    ("Tue", Day::Tuesday),
    ("Wed", Day::Wednesday),
    ("Thu", Day::Thursday),
    ("Fri", Day::Friday),
    ("Sat", Day::Saturday),
    ("Sun", Day::Sunday),
];

/// The form of a zone's name: `UTC`, `Europe/Berlin`, `America/Argentina/Ushuaia`, `Etc/GMT+5`.
const TIME_ZONE: &str = "^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$";

impl Window {
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let days = fields.optional("days");
        let is_said = days.is_some();
        let days = each(days, problems, |node, problems| node.choice(&DAYS, problems));
        let names = days.iter().filter_map(|day| DAYS.iter().find(|(_, one)| one == day)).map(|(name, _)| *name);
        unique(names, "day", &format!("{}/days", node.pointer), "", problems);
        let mut time = |name, default| {
            fields.optional(name).map_or(Some(Time { minutes: default }), |node| Time::read(&node, problems))
        };
        let (from, to) = (time("from", 0), time("to", Time::DAY_MINUTES));
        let zone = fields.optional("timeZone").map_or(Some("UTC"), |node| read_zone(&node, problems));
        fields.finish(problems);
        let (from, to) = (from?, to?);
        if from >= to {
            problems.add_with_hint(
                &node.pointer,
                format!("expected `from` to be before `to`, found {from} and {to}"),
                Some("say two windows where the night is meant"),
            );
        }
        let days = if is_said { days } else { DAYS.map(|(_, day)| day).to_vec() };
        Some(Self { days, from, to, time_zone: zone?.to_owned() })
    }

    pub(super) fn schema() -> Schema {
        Schema::object([
            ("days", Schema::list_of(Schema::choice(&DAYS)).says("Default every day.")),
            ("from", Time::schema().says("Default 00:00.")),
            ("to", Time::schema().says("Default 24:00.")),
            ("timeZone", Schema::pattern(TIME_ZONE).says("A name of the IANA's database; default UTC.")),
        ])
    }
}

fn read_zone<'v>(node: &Node<'v>, problems: &mut Problems) -> Option<&'v str> {
    let text = node.filled_text(problems)?;
    let is_part = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+-".contains(&byte))
    };
    if !text.starts_with(|first: char| first.is_ascii_alphabetic()) || !text.split('/').all(is_part) {
        problems.add(&node.pointer, format!("expected a time zone such as `Europe/Berlin`, found `{}`", clip(text)));
        return None;
    }
    Some(text)
}

impl Time {
    const DAY_MINUTES: u32 = 24 * 60;

    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let found = node.value.as_str().and_then(|text| text.parse().ok());
        if found.is_none() {
            let found = crate::read::describe(node.value);
            problems.add(&node.pointer, format!("expected a time such as \"09:30\", found {found}"));
        }
        found
    }

    fn schema() -> Schema {
        Schema::pattern("^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")
    }
}

/// The text is no time of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotATime;

impl FromStr for Time {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, NotATime> {
        let (hours, minutes) = text.split_once(':').ok_or(NotATime)?;
        let number = |part: &str| {
            let fits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
            part.parse::<u32>().ok().filter(|_| fits).ok_or(NotATime)
        };
        let (hours, minutes) = (number(hours)?, number(minutes)?);
        let time = Self { minutes: hours * 60 + minutes };
        if minutes < 60 && time.minutes <= Self::DAY_MINUTES { Ok(time) } else { Err(NotATime) }
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.minutes / 60, self.minutes % 60)
    }
}
