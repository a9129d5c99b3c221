//! A server as a process: started, measured from outside, and ended.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A running server; ended when dropped.
pub(crate) struct Process {
    child: Child,
    /// Where it serves.
    pub(crate) address: SocketAddr,
}

/// What a process has used.
pub(crate) struct Usage {
    /// Processor time of all its threads.
    pub(crate) cpu: Duration,
    /// Page faults without input or output.
    pub(crate) minor_faults: u64,
}

impl Process {
    /// Starts a server that prints its address, or that listens on a given one.
    pub(crate) fn start(command: &mut Command, address: Option<SocketAddr>) -> Self {
        let stdout = if address.is_none() { Stdio::piped() } else { Stdio::null() };
        let mut child = command.stdout(stdout).stderr(Stdio::null()).spawn().expect("a server that starts");
        let address = address.unwrap_or_else(|| {
            let mut line = String::new();
            BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("an address");
            line.trim().parse().unwrap_or_else(|_| panic!("expected an address, found `{line}`"))
        });
        let begin = std::time::Instant::now();
        while std::net::TcpStream::connect(address).is_err() {
            assert!(begin.elapsed() < Duration::from_mins(1), "the server does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { child, address }
    }

    /// What it has used until now (`proc_pid_stat(5)`).
    pub(crate) fn usage(&self) -> Usage {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("a running process");
        let fields: Vec<&str> = stat.rsplit_once(')').expect("a name").1.split_whitespace().collect();
        let number = |index: usize| fields[index].parse::<u64>().expect("a number");
        // Times are in hundredths of a second on Linux, whatever the kernel's own tick is.
        Usage { cpu: Duration::from_millis((number(11) + number(12)) * 10), minor_faults: number(7) }
    }

    /// Memory that is in use now.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("a running process");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a size");
        line.split_whitespace().nth(1).and_then(|kilobytes| kilobytes.parse::<u64>().ok()).expect("a number") * 1024
    }
}

impl Usage {
    pub(crate) fn since(&self, before: &Self) -> Self {
        Self { cpu: self.cpu.saturating_sub(before.cpu), minor_faults: self.minor_faults - before.minor_faults }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
