//! The closed sets that labels of metrics and attributes of traces are taken from.
//!
//! The words are a contract with dashboards and alerts. Each set is one list: cases, words and documentation come from
//! it, and `docs/telemetry.md` is checked against it.

use std::marker::PhantomData;

/// A set of labels whose cases are all known.
pub(super) trait Closed: Copy + 'static {
    /// Every case, in the order of [`Closed::index`].
    const CASES: &'static [Self];

    /// Where the case stands in the list.
    fn index(self) -> usize;
}

/// One value for each case of a closed set, found without searching.
#[derive(Debug, Clone)]
pub(super) struct Each<L, T> {
    values: Box<[T]>,
    cases: PhantomData<fn(L)>,
}

impl<L: Closed, T> Each<L, T> {
    pub(super) fn new(make: impl FnMut(L) -> T) -> Self {
        Self { values: L::CASES.iter().copied().map(make).collect(), cases: PhantomData }
    }

    /// The value of `case`. There always is one; the `Option` spares a panic that would have to be argued away.
    pub(super) fn get(&self, case: L) -> Option<&T> {
        self.values.get(case.index())
    }
}

macro_rules! closed {
    ($(#[$outer:meta])* $name:ident { $($case:ident => $word:literal, $sentence:literal;)* }) => {
        $(#[$outer])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $(#[doc = $sentence] $case,)* }

        impl $name {
            /// Every one, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$case,)*];

            /// The word in metrics and traces.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$case => $word,)* }
            }

            /// What the word means, for the documentation.
            #[cfg(test)]
            pub(super) const fn sentence(self) -> &'static str {
                match self { $(Self::$case => $sentence,)* }
            }
        }

        impl Closed for $name {
            const CASES: &'static [Self] = Self::ALL;

            fn index(self) -> usize {
                self as usize
            }
        }
    };
}

closed! {
    /// A part of the time that a request takes.
    Phase {
        Read => "read", "reading the body from the connection and checking its form";
        Queue => "queue", "waiting for a free instance";
        Instantiate => "instantiate", "making the instance";
        Guest => "guest", "running the module";
        Encode => "encode", "reading the module's answer and writing the response";
    }
}

closed! {
    /// What the API server is about to do, as the admission request names it.
    Operation {
        Create => "CREATE", "an object is created";
        Update => "UPDATE", "an object is replaced or patched";
        Delete => "DELETE", "an object is deleted";
        Connect => "CONNECT", "a connection to an object, such as `kubectl exec`";
        Other => "other", "anything else";
    }
}

impl Operation {
    /// The operation that a request names. The words are those of `admission.k8s.io/v1`, in capitals.
    pub fn named(name: &str) -> Self {
        Self::ALL.iter().copied().find(|one| one.as_str() == name).unwrap_or(Self::Other)
    }
}

closed! {
    /// What became of a request that reached a policy.
    Outcome {
        Allowed => "allowed", "allowed as it is";
        Mutated => "mutated", "allowed with a patch";
        Denied => "denied", "refused by the policy";
        Fault => "fault", "the policy said that it cannot decide";
        GuestError => "guest-error", "the module declared that it failed";
        Deadline => "deadline", "stopped: the time was up";
        Memory => "memory", "stopped: too much memory";
        HostCalls => "host-calls", "stopped: too many calls to the host";
        Output => "output", "stopped: too many bytes handed over";
        Input => "input", "not called: the request is larger than the module may take";
        Trap => "trap", "the module trapped";
        Contract => "contract", "the module broke its contract: no answer, or one that cannot be used";
        Runtime => "runtime", "the engine could not run the module";
    }
}

impl Outcome {
    /// Whether nobody decided, so that `onFault` or the webhook's `failurePolicy` answers.
    pub const fn is_fault(self) -> bool {
        match self {
            Self::Allowed | Self::Mutated | Self::Denied => false,
            Self::Fault
            | Self::GuestError
            | Self::Deadline
            | Self::Memory
            | Self::HostCalls
            | Self::Output
            | Self::Input
            | Self::Trap
            | Self::Contract
            | Self::Runtime => true,
        }
    }
}

closed! {
    /// Why a request reached no policy.
    Refused {
        TooLarge => "too-large", "the body is larger than the limit";
        TooDeep => "too-deep", "the body is nested deeper than the limit";
        BadRequest => "bad-request", "the body is no admission review";
        UnknownPath => "unknown-path", "the path leads nowhere";
        UnknownPolicy => "unknown-policy", "no policy has this id";
        Method => "method", "the method is not the one of this path";
        MediaType => "media-type", "the body is not announced as JSON";
        SlowBody => "slow-body", "the body did not arrive in time";
        BrokenBody => "broken-body", "the connection ended within the body";
        Overloaded => "overloaded", "the queue is full";
        Expired => "expired", "the API server's time was up before an instance was free";
        Stopping => "stopping", "the server is shutting down";
    }
}

closed! {
    /// What is read again while the server runs.
    Reloaded {
        Settings => "settings", "the settings of the policy module";
        Policies => "policies", "the list of policies";
        Certificate => "certificate", "certificate, key and client CAs";
    }
}

closed! {
    /// How reading it again ended.
    ReloadResult {
        Ok => "ok", "in use";
        Rejected => "rejected", "not usable; the last good one stays";
    }
}

closed! {
    /// Why there is no TLS connection.
    HandshakeFailure {
        Timeout => "timeout", "it did not end in time";
        NotTls => "not-tls", "the client does not speak TLS";
        NoCertificate => "no-certificate", "a client certificate is needed and there is none";
        BadCertificate => "bad-certificate", "the client certificate is not accepted";
        RefusedByClient => "refused-by-client", "the client does not accept our certificate: look at `caBundle`";
        Closed => "closed", "the client went away, as a TCP health check does";
        Protocol => "protocol", "no common version or cipher, or any other violation of TLS";
    }
}

closed! {
    /// Why a trace did not reach the collector.
    TraceLoss {
        QueueFull => "queue-full", "more traces than the collector takes";
        Export => "export", "the collector is gone, too slow, or refuses them";
        Stopping => "stopping", "the server is shutting down";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_named_exactly() {
        for (name, operation) in [
            ("CREATE", Operation::Create),
            ("UPDATE", Operation::Update),
            ("DELETE", Operation::Delete),
            ("CONNECT", Operation::Connect),
            ("create", Operation::Other),
            ("", Operation::Other),
            ("CREATE\",x=\"", Operation::Other),
        ] {
            assert_eq!(Operation::named(name), operation, "{name}");
        }
    }

    #[test]
    fn each_case_has_its_own_value() {
        let each = Each::new(|case: Outcome| case);
        for case in Outcome::ALL {
            assert_eq!(each.get(*case), Some(case));
        }
    }
}
