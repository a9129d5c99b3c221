//! Requests as bytes, for what no proper client would send.

use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::client::{NAME, Trust};
use crate::support::Server;

/// What a server with limits of a second has ended long before, also on a busy machine.
const LIMIT: Duration = Duration::from_secs(15);

/// What came back before the connection was closed.
pub(crate) struct Heard {
    /// None where there was no answer.
    pub(crate) status: Option<u16>,
    /// How long it took until the connection was closed; none where it was not.
    pub(crate) closed: Option<Duration>,
}

/// Reads to the end.
pub(crate) async fn hear(mut stream: impl AsyncRead + Unpin) -> Heard {
    let begin = Instant::now();
    let mut bytes = Vec::new();
    // How a connection ends is the server's choice: what matters is what was said before.
    let closed = timeout(LIMIT, stream.read_to_end(&mut bytes)).await.ok().map(|_| begin.elapsed());
    let text = String::from_utf8_lossy(&bytes);
    Heard { status: text.strip_prefix("HTTP/1.1 ").and_then(|text| text[..3].parse().ok()), closed }
}

/// Sends all of it, reads the answer at the same time, and has the connection closed after it.
pub(crate) async fn tell(
    trust: &Trust,
    server: &Server,
    pieces: impl IntoIterator<Item = (Vec<u8>, Duration)>,
) -> Heard {
    let (read, mut write) = tokio::io::split(trust.connect(server.address).await.unwrap());
    let telling = async {
        for (piece, pause) in pieces {
            if write.write_all(&piece).await.is_err() || write.flush().await.is_err() {
                break;
            }
            sleep(pause).await;
        }
        // The write half is kept: a connection that is closed on one side is another case.
        std::future::pending::<()>().await;
    };
    tokio::select! {
        heard = hear(read) => heard,
        () = telling => unreachable!("it waits for ever"),
    }
}

/// The head of a request that is closed after its answer.
pub(crate) fn head(line: &str, fields: &str) -> String {
    format!("{line} HTTP/1.1\r\nhost: {NAME}\r\nconnection: close\r\n{fields}\r\n")
}

pub(crate) fn json(fields: &str) -> String {
    format!("content-type: application/json\r\n{fields}")
}

pub(crate) fn length(bytes: usize) -> String {
    json(&format!("content-length: {bytes}\r\n"))
}

/// A whole request with this body.
pub(crate) fn post(body: &[u8]) -> Vec<u8> {
    [head("POST /mutate", &length(body.len())).as_bytes(), body].concat()
}

/// The same in pieces, without a length.
pub(crate) fn chunked(body: &[u8]) -> Vec<u8> {
    let mut request = head("POST /mutate", &json("transfer-encoding: chunked\r\n")).into_bytes();
    for piece in body.chunks(64 << 10) {
        request.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        request.extend_from_slice(piece);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    request
}

/// Sends some of a request and nothing more; the other direction stays open.
pub(crate) async fn half_closed(trust: &Trust, server: &Server, bytes: &[u8]) -> Heard {
    let mut stream = trust.connect(server.address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream.shutdown().await.unwrap();
    hear(stream).await
}

/// Sends requests as fast as they are taken and reads no answer.
pub(crate) async fn deaf(trust: &Trust, server: &Server, body: &[u8]) -> Heard {
    let request =
        [head("POST /mutate", &length(body.len())).replace("connection: close\r\n", "").as_bytes(), body].concat();
    let mut stream = trust.connect(server.address).await.unwrap();
    let begin = Instant::now();
    let telling = async { while stream.write_all(&request).await.is_ok() {} };
    let closed = timeout(LIMIT, telling).await.ok().map(|()| begin.elapsed());
    Heard { status: None, closed }
}

/// Sends something without TLS.
pub(crate) async fn plain(server: &Server, bytes: &[u8]) -> Heard {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    hear(stream).await
}
