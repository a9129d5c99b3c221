//! The files that certificates and keys come from.
//!
//! They are compared by what they hold. Notifications and times of change miss updates: the kubelet swaps a symbolic
//! link two levels above a Secret's files, and an editor may write the same number of bytes within one tick.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::TlsError;

/// Kubernetes keeps no larger Secret or `ConfigMap`.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Where the server's certificates come from. All files are PEM and at most 1 MiB.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The server's certificate, followed by the intermediate certificates that clients may lack.
    pub cert: PathBuf,
    /// The key of the first certificate: PKCS #8, PKCS #1 or SEC 1.
    pub key: PathBuf,
    /// The authorities that sign client certificates. Read where clients are asked for certificates.
    pub client_ca: Vec<PathBuf>,
}

/// What all files held at one look.
pub(super) struct Contents {
    pub(super) cert: PemFile,
    pub(super) key: PemFile,
    pub(super) client_ca: Vec<PemFile>,
}

/// The bytes of one file.
pub(super) struct PemFile {
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
}

/// Tells the outcomes of two looks apart, without a second copy of the key in memory.
pub(super) type Fingerprint = [u8; 32];

impl TlsFiles {
    /// The certificate comes before the key: where a swap falls between the two, the key is not its key, which is found.
    pub(super) fn read(&self) -> Result<Contents, TlsError> {
        let cert = PemFile::read(&self.cert)?;
        let key = PemFile::read(&self.key)?;
        let client_ca = self.client_ca.iter().map(|path| PemFile::read(path)).collect::<Result<_, _>>()?;
        Ok(Contents { cert, key, client_ca })
    }
}

/// Of the bytes, or of the reason why there are none.
pub(super) fn fingerprint(look: &Result<Contents, TlsError>) -> Fingerprint {
    let mut hash = Sha256::new();
    match look {
        Ok(Contents { cert, key, client_ca }) => {
            for file in [cert, key].into_iter().chain(client_ca) {
                hash.update(Sha256::digest(&file.bytes));
            }
        }
        Err(error) => hash.update(format!("{error:?}")),
    }
    hash.finalize().into()
}

impl PemFile {
    fn read(path: &Path) -> Result<Self, TlsError> {
        let bytes = read_bounded(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), bytes })
    }

    /// All certificates of the file, of which there must be one.
    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.bytes).collect();
        match found {
            Ok(found) if found.is_empty() => Err(TlsError::NoCertificate { path: self.path.clone() }),
            Ok(found) => Ok(found),
            Err(_) => Err(self.not_pem()),
        }
    }

    /// The only key of the file.
    pub(super) fn key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        let found: Vec<_> =
            PrivateKeyDer::pem_slice_iter(&self.bytes).collect::<Result<_, _>>().map_err(|_| self.not_pem())?;
        let found = <[_; 1]>::try_from(found);
        found.map(|[key]| key).map_err(|found| TlsError::Keys { path: self.path.clone(), found: found.len() })
    }

    /// What the parser says is left out: it quotes the line, and a key that lost its line ends is one line.
    fn not_pem(&self) -> TlsError {
        TlsError::NotPem { path: self.path.clone() }
    }
}

/// The whole file, where it is of a size that certificates have.
pub(crate) fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let length = File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if u64::try_from(length).is_ok_and(|length| length <= MAX_FILE_BYTES) {
        return Ok(bytes);
    }
    Err(io::Error::new(io::ErrorKind::FileTooLarge, "expected at most 1 MiB"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_up_to_a_size() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tls.crt");
        for (bytes, kind) in [(0, None), (1 << 20, None), ((1 << 20) + 1, Some(io::ErrorKind::FileTooLarge))] {
            std::fs::write(&path, vec![b'x'; bytes]).expect("a writable folder");
            assert_eq!(read_bounded(&path).map_err(|error| error.kind()).err(), kind, "{bytes} bytes");
        }
    }

    #[test]
    fn bytes_that_move_from_one_file_to_the_next_are_another_fingerprint() {
        let file = |bytes: &str| PemFile { path: PathBuf::from("file"), bytes: bytes.into() };
        let look =
            |cert, key, ca| fingerprint(&Ok(Contents { cert: file(cert), key: file(key), client_ca: vec![file(ca)] }));
        let fingerprints = [look("ab", "c", ""), look("a", "bc", ""), look("a", "b", "c"), look("b", "a", "c")];
        for (index, one) in fingerprints.iter().enumerate() {
            assert!(!fingerprints[..index].contains(one), "{index}");
        }
    }
}
