//! What of a folder's certificates is due, and what takes its place.
//!
//! Invariant: whoever trusts the bundle of before or of after takes the server's certificate of after, wherever the
//! old authority lets that be. So a due server is still signed by the authority that is being replaced, and the new one
//! signs from the next time on, when its certificate has reached the clients.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::client::verify_server_cert_signed_by_trust_anchor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use x509_parser::extensions::GeneralName;

use super::TlsError;
use super::files::PemFile;
use super::identity::{Identity, parse};
use super::issue::{Authority, IssueError, Issued, server_name};
use super::validity::Validity;

/// An authority lives as long as so many of its servers' certificates, so that clients learn a new one seldom.
const AUTHORITY_LIVES: u32 = 10;

const AUTHORITY_NAME: &str = "fedcar authority";

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// What a folder holds, as PEM. Empty is what is not there.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Stored {
    /// Every authority that clients are to trust.
    pub bundle: String,
    /// The key of the authority.
    pub authority_key: String,
    /// The authority that signs.
    pub authority: String,
    /// The server's key.
    pub key: String,
    /// The server's certificate.
    pub cert: String,
}

/// What the folder is to hold.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The server's DNS names and IP addresses.
    pub names: Vec<String>,
    /// How long a new certificate of the server lasts.
    pub valid: Duration,
    /// How long before its end it is replaced; less than `valid`.
    pub renew_before: Duration,
}

/// Why something is made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It was not there.
    Missing,
    /// It cannot be read, or the key is not its key.
    Damaged,
    /// It does not count now, or not for long enough.
    Due,
    /// It is for other names.
    Names,
    /// No authority of the bundle has signed it.
    Untrusted,
}

/// What was found and made.
pub struct Renewal {
    /// What the folder is to hold now.
    pub stored: Stored,
    /// Why there is a new authority, if there is one.
    pub why_authority: Option<Reason>,
    /// Why there is a new certificate of the server, if there is one.
    pub why_server: Option<Reason>,
    /// When the authority in `stored` ends.
    pub authority_not_after: SystemTime,
    /// When the server's certificate ends.
    pub server_not_after: SystemTime,
    /// How many authorities clients are to trust.
    pub trusted: usize,
}

impl Reason {
    /// For programs; stable.
    pub fn code(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Damaged => "damaged",
            Self::Due => "due",
            Self::Names => "names",
            Self::Untrusted => "untrusted",
        }
    }

    /// For people.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Missing => "there was none",
            Self::Damaged => "the old one could not be used",
            Self::Due => "the old one did not last long enough",
            Self::Names => "the old one was for other names",
            Self::Untrusted => "no trusted authority had signed the old one",
        }
    }
}

/// Replaces what is due at `now` and keeps the rest byte for byte. Everything in `stored` may be broken: that is replaced
/// too, and is no error.
pub fn renew(stored: &Stored, wanted: &Wanted, now: SystemTime) -> Result<Renewal, IssueError> {
    let new = || Authority::new(AUTHORITY_NAME, wanted.valid.saturating_mul(AUTHORITY_LIVES), now);
    let left = |authority: &Authority| left(authority.validity().not_after, now);
    let (authority, replaced, why_authority) = match old_authority(stored, now) {
        // What it signs lasts as long as it should, and until it is due once more.
        Ok(old) if left(&old) >= wanted.valid.saturating_add(wanted.renew_before) => (old, None, None),
        Ok(old) => (new()?, Some(old).filter(|old| left(old) >= wanted.valid), Some(Reason::Due)),
        Err(reason) => (new()?, None, Some(reason)),
    };
    let trusted = Trusted::of([authority.cert_pem(), &stored.authority, &stored.bundle], now);
    let names = wanted.names.iter().map(|name| server_name(name)).collect::<Result<_, _>>()?;
    let (server, why_server) = match old_server(stored, &names, wanted.renew_before, &trusted, now) {
        Ok(not_after) => (Issued { cert: stored.cert.clone(), key: stored.key.clone(), not_after }, None),
        Err(reason) => {
            let signer = replaced.as_ref().unwrap_or(&authority);
            (signer.issue_server(&wanted.names, wanted.valid, now)?, Some(reason))
        }
    };
    let authority_key = if why_authority.is_some() { authority.key_pem() } else { stored.authority_key.clone() };
    Ok(Renewal {
        why_authority,
        why_server,
        authority_not_after: authority.validity().not_after,
        server_not_after: server.not_after,
        trusted: trusted.roots.len(),
        stored: Stored {
            bundle: trusted.pem,
            authority_key,
            authority: authority.cert_pem().to_owned(),
            key: server.key,
            cert: server.cert,
        },
    })
}

/// The authority, if it counts now.
fn old_authority(stored: &Stored, now: SystemTime) -> Result<Authority, Reason> {
    if stored.authority.is_empty() && stored.authority_key.is_empty() {
        return Err(Reason::Missing);
    }
    let old = Authority::from_pem(&stored.authority, &stored.authority_key).map_err(|_| Reason::Damaged)?;
    if old.validity().contains(now) { Ok(old) } else { Err(Reason::Due) }
}

/// When the server's certificate ends, if it will do until the next time.
fn old_server(
    stored: &Stored,
    names: &BTreeSet<String>,
    renew_before: Duration,
    trusted: &Trusted,
    now: SystemTime,
) -> Result<SystemTime, Reason> {
    if stored.cert.is_empty() && stored.key.is_empty() {
        return Err(Reason::Missing);
    }
    let file = |text: &str| PemFile { path: PathBuf::new(), bytes: text.into() };
    let provider = aws_lc_rs::default_provider();
    let identity = Identity::load(&file(&stored.cert), &file(&stored.key), &provider, now)
        .map_err(|error| if matches!(error, TlsError::OutOfDate { .. }) { Reason::Due } else { Reason::Damaged })?;
    if left(identity.not_after, now) <= renew_before {
        return Err(Reason::Due);
    }
    let (leaf, intermediates) = identity.key.cert.split_first().ok_or(Reason::Damaged)?;
    if names_of(leaf).as_ref() != Some(names) {
        return Err(Reason::Names);
    }
    let leaf = ParsedCertificate::try_from(leaf).map_err(|_| Reason::Damaged)?;
    let now = UnixTime::since_unix_epoch(now.duration_since(UNIX_EPOCH).unwrap_or_default());
    let algorithms = provider.signature_verification_algorithms.all;
    verify_server_cert_signed_by_trust_anchor(&leaf, &trusted.roots, intermediates, now, algorithms)
        .map_err(|_| Reason::Untrusted)?;
    Ok(identity.not_after)
}

fn left(not_after: SystemTime, now: SystemTime) -> Duration {
    not_after.duration_since(now).unwrap_or_default()
}

/// The DNS names and IP addresses, in the form of [`server_name`].
fn names_of(certificate: &[u8]) -> Option<BTreeSet<String>> {
    let certificate = parse(certificate)?;
    let names = certificate.subject_alternative_name().ok()??;
    let names = names.value.general_names.iter().map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match (<[u8; 4]>::try_from(*bytes), <[u8; 16]>::try_from(*bytes)) {
            (Ok(bytes), _) => Some(IpAddr::from(bytes).to_string()),
            (_, Ok(bytes)) => Some(IpAddr::from(bytes).to_string()),
            _ => None,
        },
        _ => None,
    });
    names.collect()
}

/// The authorities that clients are to trust, once each, the newest first.
struct Trusted {
    pem: String,
    roots: RootCertStore,
}

impl Trusted {
    /// What in `texts` is an authority that has not ended; the rest is left out.
    fn of(texts: [&str; 3], now: SystemTime) -> Self {
        let mut trusted = Self { pem: String::new(), roots: RootCertStore::empty() };
        let mut known = BTreeSet::new();
        for (text, der) in texts.into_iter().flat_map(certificates) {
            let counts = parse(&der).is_some_and(|found| found.is_ca() && now <= Validity::of(&found).not_after);
            if counts && known.insert(der.to_vec()) && trusted.roots.add(der).is_ok() {
                trusted.pem.push_str(text);
                trusted.pem.push('\n');
            }
        }
        trusted
    }
}

/// Each readable certificate of a text, as it stands there.
fn certificates(pem: &str) -> impl Iterator<Item = (&str, CertificateDer<'static>)> {
    pem.split_inclusive(END).filter_map(|piece| {
        let text = piece.get(piece.find(BEGIN)?..)?;
        Some((text, CertificateDer::from_pem_slice(text.as_bytes()).ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn wanted() -> Wanted {
        Wanted { names: vec!["fedcar.mesh.svc".to_owned()], valid: 90 * DAY, renew_before: 30 * DAY }
    }

    fn start() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_790_000_000)
    }

    fn renewed(stored: &Stored, wanted: &Wanted, now: SystemTime) -> Renewal {
        renew(stored, wanted, now).expect("certificates")
    }

    fn first() -> Stored {
        renewed(&Stored::default(), &wanted(), start()).stored
    }

    /// Whether somebody who knows `bundle` takes the server's certificate at `now`, and for how long it will last.
    fn taken(bundle: &str, stored: &Stored, now: SystemTime) -> Result<Duration, Reason> {
        let names = BTreeSet::from(["fedcar.mesh.svc".to_owned()]);
        let trusted = Trusted::of([bundle, "", ""], now);
        old_server(stored, &names, Duration::ZERO, &trusted, now).map(|not_after| left(not_after, now))
    }

    #[test]
    fn what_is_due_depends_on_the_time() {
        let due = Some(Reason::Due);
        for (days, authority, server) in [
            (0, None, None),
            (59, None, None),
            (60, None, due),
            (91, None, due),
            (780, None, due),
            (781, due, due),
            (899, due, due),
            (901, due, due),
            // The clock was wrong before, or is now.
            (-1, due, due),
        ] {
            let now = if days < 0 { start() - DAY } else { start() + DAY * u32::try_from(days).expect("small") };
            let found = renewed(&first(), &wanted(), now);
            assert_eq!((found.why_authority, found.why_server), (authority, server), "after {days} days");
            if server.is_some() {
                assert_eq!(found.server_not_after, now + 90 * DAY, "made after {days} days");
            }
        }
    }

    #[test]
    fn what_is_not_due_keeps_its_bytes() {
        let stored = first();
        assert!(renewed(&stored, &wanted(), start() + 59 * DAY).stored == stored);
    }

    #[test]
    fn what_is_broken_is_replaced() {
        let (other, missing, damaged) = (first(), Some(Reason::Missing), Some(Reason::Damaged));
        let bundle_of_others = other.bundle.clone();
        let change = |change: fn(&mut Stored, Stored), authority, server| {
            let (before, now) = (first(), start() + DAY);
            let mut broken = before.clone();
            change(&mut broken, other.clone());
            let found = renewed(&broken, &wanted(), now);
            assert_eq!((found.why_authority, found.why_server), (authority, server));
            assert!(taken(&found.stored.bundle, &found.stored, now).is_ok());
            let again = renewed(&found.stored, &wanted(), now);
            assert_eq!((again.why_authority, again.why_server), (None, None));
        };
        change(|_, _| (), None, None);
        change(|stored, _| stored.cert.clear(), None, damaged);
        change(|stored, _| stored.key = "-----BEGIN".to_owned(), None, damaged);
        change(|stored, other| stored.key = other.key, None, damaged);
        change(|stored, _| (stored.key, stored.cert) = Default::default(), None, missing);
        change(|stored, _| stored.cert.truncate(stored.cert.len() / 2), None, damaged);
        // The certificate of the authority still counts for clients, so that the server's need not change.
        change(|stored, _| stored.authority_key.clear(), damaged, None);
        change(|stored, other| stored.authority_key = other.authority_key, damaged, None);
        change(|stored, _| (stored.authority, stored.authority_key) = Default::default(), missing, None);
        change(|stored, _| stored.bundle.clear(), None, None);
        change(|stored, _| stored.bundle = "\u{fffd}".to_owned(), None, None);
        change(
            |stored, other| {
                (stored.authority, stored.authority_key) = (other.authority, other.authority_key);
                stored.bundle = other.bundle;
            },
            None,
            Some(Reason::Untrusted),
        );
        assert!(taken(&bundle_of_others, &first(), start()).is_err());
    }

    #[test]
    fn other_names_are_another_certificate() {
        let stored = first();
        for (names, reason) in [
            (&["fedcar.mesh.svc"][..], None),
            (&["Fedcar.Mesh.SVC", "fedcar.mesh.svc"], None),
            (&["fedcar.mesh.svc", "192.0.2.1"], Some(Reason::Names)),
            (&["fedcar.other.svc"], Some(Reason::Names)),
        ] {
            let wanted = Wanted { names: names.iter().map(ToString::to_string).collect(), ..wanted() };
            let found = renewed(&stored, &wanted, start());
            assert_eq!((found.why_authority, found.why_server), (None, reason), "{names:?}");
            assert_eq!(renewed(&found.stored, &wanted, start()).why_server, None, "{names:?}");
        }
    }

    #[test]
    fn an_authority_that_is_replaced_stays_trusted_also_where_the_bundle_was_lost() {
        let stored = Stored { bundle: String::new(), ..first() };
        let found = renewed(&stored, &wanted(), start() + 781 * DAY);
        assert_eq!((found.why_authority, found.trusted), (Some(Reason::Due), 2));
    }

    #[test]
    fn authorities_leave_the_bundle_when_they_end() {
        let one = Authority::new("one", DAY, start()).expect("an authority");
        let other = Authority::new("other", 2 * DAY, start()).expect("an authority");
        let server = one.issue_server(&wanted().names, DAY, start()).expect("a certificate");
        let bundle = format!("{}kept by hand\n{}{0}{}", one.cert_pem(), other.cert_pem(), server.cert);
        let trusted = |now| Trusted::of([one.cert_pem(), &bundle, "-----BEGIN CERTIFICATE-----\nAAAA\n"], now);
        for (hours, count) in [(0, 2), (24, 2), (25, 1), (49, 0)] {
            let trusted = trusted(start() + Duration::from_hours(hours));
            assert_eq!(trusted.roots.len(), count, "after {hours} hours");
            assert_eq!(trusted.pem.matches(BEGIN).count(), count, "after {hours} hours");
        }
    }

    #[test]
    fn through_years_the_bundle_of_last_time_and_of_now_both_take_the_server() {
        for every_days in [7, 29] {
            let (mut stored, mut now) = (first(), start());
            let (mut servers, mut authorities) = (0_u32, 0_u32);
            while now < start() + 2000 * DAY {
                // What was there is still good when the command runs again.
                assert!(taken(&stored.bundle, &stored, now).is_ok(), "at {}", super::super::rfc3339(now));
                let found = renewed(&stored, &wanted(), now);
                let lasts = taken(&stored.bundle, &found.stored, now).expect("taken by those who know the old bundle");
                assert_eq!(taken(&found.stored.bundle, &found.stored, now), Ok(lasts));
                assert!(lasts > 30 * DAY && found.trusted <= 2);
                servers += u32::from(found.why_server.is_some());
                authorities += u32::from(found.why_authority.is_some());
                stored = found.stored;
                now += DAY * every_days;
            }
            assert_eq!(authorities, 2, "every {every_days} days");
            assert!((22..=34).contains(&servers), "{servers} every {every_days} days");
        }
    }
}
