//! The limits of `fedcar serve` as flags. None of them can be switched off.

use std::str::FromStr;
use std::time::Duration;

use clap::Args;

use crate::admission::server::ServerLimits;
use crate::engine::Limits;

/// Every limit; where a flag is not given, the default of the library.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
#[group(skip)]
pub(super) struct LimitArguments {
    /// One request, waiting included; the API server's own timeout counts where it is shorter [default: 1s]
    #[arg(long, value_name = "TIME")]
    timeout: Option<Time>,
    /// The body of one request [default: 8Mi]
    #[arg(long, value_name = "BYTES")]
    max_body: Option<Bytes>,
    /// The bodies of all requests under way [default: 64Mi]
    #[arg(long, value_name = "BYTES")]
    max_bodies: Option<Bytes>,
    /// Levels of lists and objects in a body [default: 100]
    #[arg(long, value_name = "COUNT")]
    max_json_depth: Option<usize>,
    /// Linear memory of a module [default: 64Mi]
    #[arg(long, value_name = "BYTES")]
    max_guest_memory: Option<Bytes>,
    /// Elements in the table of a module [default: 10000]
    #[arg(long, value_name = "COUNT")]
    max_guest_table: Option<usize>,
    /// Everything that a module hands over in one call [default: 16Mi]
    #[arg(long, value_name = "BYTES")]
    max_guest_output: Option<Bytes>,
    /// Host calls of a module in one call [default: 64]
    #[arg(long, value_name = "COUNT")]
    max_host_calls: Option<u32>,
    /// Calls that run at the same time as long as they are quick [default: one for each processor]
    #[arg(long, value_name = "COUNT")]
    max_running: Option<Count>,
    /// Calls that exist at the same time, slow ones included [default: 16]
    #[arg(long, value_name = "COUNT")]
    max_calls: Option<Count>,
    /// Requests that wait for their call; further ones are refused at once [default: 256]
    #[arg(long, value_name = "COUNT")]
    max_waiting: Option<usize>,
    /// Connections at the same time [default: 2048]
    #[arg(long, value_name = "COUNT")]
    max_connections: Option<Count>,
    /// TLS handshakes at the same time [default: 64]
    #[arg(long, value_name = "COUNT")]
    max_handshakes: Option<Count>,
    /// A TLS handshake [default: 5s]
    #[arg(long, value_name = "TIME")]
    handshake_timeout: Option<Time>,
    /// The head of a request, from its first byte [default: 5s]
    #[arg(long, value_name = "TIME")]
    head_timeout: Option<Time>,
    /// The body of a request [default: 5s]
    #[arg(long, value_name = "TIME")]
    body_timeout: Option<Time>,
    /// A connection without a request; API servers close theirs after 90s [default: 180s]
    #[arg(long, value_name = "TIME")]
    idle_timeout: Option<Time>,
    /// After SIGTERM: how long new connections are still taken [default: 5s]
    #[arg(long, value_name = "TIME")]
    linger: Option<Time>,
    /// After that: how long open connections have to end [default: 20s]
    #[arg(long, value_name = "TIME")]
    drain: Option<Time>,
}

/// Bytes, with an optional `Ki`, `Mi` or `Gi`.
#[derive(Debug, Clone, Copy)]
struct Bytes(usize);

/// A time: a number with `ms`, `s` or `m`.
#[derive(Debug, Clone, Copy)]
struct Time(Duration);

/// A number that is not zero.
#[derive(Debug, Clone, Copy)]
struct Count(u32);

/// The number that a text begins with, and the rest.
fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|one: char| !one.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    Some((number.parse().ok()?, unit))
}

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = number_and_unit(text).and_then(|(number, unit)| {
            let shift = [("", 0), ("Ki", 10), ("Mi", 20), ("Gi", 30)].into_iter().find(|(name, _)| *name == unit)?.1;
            usize::try_from(number.checked_mul(1 << shift)?).ok()
        });
        let bytes = bytes.filter(|bytes| (1..=4 << 30).contains(bytes));
        bytes.map(Self).ok_or_else(|| "expected bytes from 1 to 4Gi, such as 8Mi".to_owned())
    }
}

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let millis = number_and_unit(text).and_then(|(number, unit)| {
            number.checked_mul([("ms", 1), ("s", 1000), ("m", 60_000)].into_iter().find(|(name, _)| *name == unit)?.1)
        });
        // An hour is longer than any of these times makes sense for.
        let millis = millis.filter(|millis| (1..=3_600_000).contains(millis));
        millis
            .map(|millis| Self(Duration::from_millis(millis)))
            .ok_or_else(|| "expected a time from 1ms to 60m, such as 500ms or 5s".to_owned())
    }
}

impl FromStr for Count {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let count = text.parse().ok().filter(|count| (1..=100_000).contains(count));
        count.map(Self).ok_or_else(|| "expected a number from 1 to 100000".to_owned())
    }
}

impl LimitArguments {
    /// The limits of modules.
    pub(super) fn engine(&self) -> Limits {
        let server = self.server();
        let default = Limits::default();
        Limits {
            memory_bytes: self.max_guest_memory.map_or(default.memory_bytes, |bytes| bytes.0),
            table_elements: self.max_guest_table.unwrap_or(default.table_elements),
            // The whole body, and what is put around it.
            input_bytes: server.body_bytes + (1 << 20),
            output_bytes: self.max_guest_output.map_or(default.output_bytes, |bytes| bytes.0),
            host_calls: self.max_host_calls.unwrap_or(default.host_calls),
            deadline: self.timeout.map_or(default.deadline, |time| time.0),
            prepare_deadline: default.prepare_deadline,
            concurrent_calls: u32::try_from(server.calls).unwrap_or(u32::MAX),
        }
    }

    /// The limits of connections and requests.
    pub(super) fn server(&self) -> ServerLimits {
        let default = ServerLimits::default();
        let time = |time: Option<Time>, default| time.map_or(default, |time| time.0);
        let count = |count: Option<Count>, default| count.map_or(default, |count| count.0 as usize);
        ServerLimits {
            body_bytes: self.max_body.map_or(default.body_bytes, |bytes| bytes.0),
            all_bodies_bytes: self.max_bodies.map_or(default.all_bodies_bytes, |bytes| bytes.0),
            json_depth: self.max_json_depth.unwrap_or(default.json_depth),
            body_time: time(self.body_timeout, default.body_time),
            head_time: time(self.head_timeout, default.head_time),
            idle_time: time(self.idle_timeout, default.idle_time),
            handshake_time: time(self.handshake_timeout, default.handshake_time),
            handshakes: count(self.max_handshakes, default.handshakes),
            connections: count(self.max_connections, default.connections),
            running: count(self.max_running, default.running),
            calls: count(self.max_calls, default.calls),
            waiting: self.max_waiting.unwrap_or(default.waiting),
            linger: time(self.linger, default.linger),
            drain: time(self.drain, default.drain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_people_write_them() {
        let bytes = |text: &str| text.parse().map(|Bytes(bytes)| bytes).ok();
        assert_eq!(["1", "8Ki", "8Mi", "4Gi"].map(bytes), [Some(1), Some(8192), Some(8 << 20), Some(4 << 30)]);
        assert_eq!(
            ["", "0", "Mi", "8M", "-1", "5Gi", "99999999999999999999", "18446744073709551615Gi"].map(bytes),
            [None; 8]
        );
        let time = |text: &str| text.parse().map(|Time(time)| time).ok();
        assert_eq!(
            ["20ms", "5s", "2m"].map(time),
            [20, 5000, 120_000].map(|millis| Some(Duration::from_millis(millis)))
        );
        assert_eq!(["", "0s", "5", "1h", "61m"].map(time), [None; 5]);
        let count = |text: &str| text.parse().map(|Count(count)| count).ok();
        assert_eq!(["1", "0", "x"].map(count), [Some(1), None, None]);
    }
}
