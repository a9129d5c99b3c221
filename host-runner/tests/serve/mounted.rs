//! A Secret with a certificate as the kubelet mounts it: files that lead through a symbolic link `..data`, which is swapped
//! as a whole (`k8s.io/kubernetes/pkg/volume/util/atomic_writer.go`).

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use fedcar::admission::tls::{Authority, Issued};
use tokio_rustls::rustls::pki_types::{CertificateDer, pem::PemObject as _};

use crate::client::{NAME, Trust};

const DAY: Duration = Duration::from_hours(24);

/// The mounted folder.
pub(crate) struct Mounted {
    folder: PathBuf,
    /// Two, as there are while one is replaced by the next.
    authorities: [Authority; 2],
    generation: usize,
}

impl Mounted {
    /// A folder in `parent` with a good certificate.
    pub(crate) fn new(parent: &Path) -> Self {
        let folder = parent.join("certificates");
        fs::create_dir(&folder).unwrap();
        let authority = || Authority::new("fedcar test authority", 30 * DAY, SystemTime::now()).unwrap();
        let mut mounted = Self { folder, authorities: [authority(), authority()], generation: 0 };
        mounted.swap();
        for file in ["tls.crt", "tls.key"] {
            symlink(Path::new("..data").join(file), mounted.folder.join(file)).unwrap();
        }
        mounted
    }

    /// The flags that serve it.
    pub(crate) fn flags(&self) -> [String; 2] {
        ["crt", "key"].map(|file| {
            let flag = if file == "crt" { "cert" } else { "key" };
            format!("--{flag}={}", self.folder.join(format!("tls.{file}")).display())
        })
    }

    /// Trusts both authorities.
    pub(crate) fn trust(&self) -> Trust {
        Trust::new(self.authorities.iter().map(Authority::cert_pem))
    }

    /// A new certificate from the other authority, in place at once. Gives what clients should see.
    pub(crate) fn swap(&mut self) -> Bytes {
        let Issued { cert, key, .. } = self.issue();
        self.place(&cert, &key);
        Bytes::copy_from_slice(&CertificateDer::from_pem_slice(cert.as_bytes()).unwrap())
    }

    /// Something that must not be served: a certificate with the key of another one, or one that is cut off.
    pub(crate) fn swap_for_broken(&mut self) {
        let (one, other) = (self.issue(), self.issue());
        if self.generation.is_multiple_of(2) {
            self.place(&one.cert, &other.key);
        } else {
            self.place(&one.cert[..one.cert.len() / 2], &one.key);
        }
    }

    fn issue(&self) -> Issued {
        let authority = &self.authorities[self.generation % 2];
        authority.issue_server(&[NAME.to_owned()], DAY, SystemTime::now()).unwrap()
    }

    fn place(&mut self, cert: &str, key: &str) {
        let data = self.folder.join("..data");
        let before = fs::read_link(&data).ok();
        self.generation += 1;
        let name = format!("..generation_{}", self.generation);
        let next = self.folder.join(&name);
        fs::create_dir(&next).unwrap();
        fs::write(next.join("tls.crt"), cert).unwrap();
        fs::write(next.join("tls.key"), key).unwrap();
        let link = self.folder.join("..data_tmp");
        symlink(&name, &link).unwrap();
        fs::rename(&link, &data).unwrap();
        if let Some(before) = before {
            fs::remove_dir_all(self.folder.join(before)).unwrap();
        }
    }
}
