//! Nothing of one request is visible to another: the pool gives the memory of one call to the next. A guest looks at all
//! memory that it can have before it has asked for its own request, while others leave a mark everywhere they can.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tokio::task::JoinSet;

use crate::client::Client;
use crate::guests::{GOOD, policies};
use crate::mounted::Mounted;
use crate::reviews::{Asked, VERSION};
use crate::support::{Server, beside_others, folder, soak};

/// Requests that look: enough that every slot is used by every module after every other one, many times.
const REQUESTS: usize = 500;

/// What requests carry: a run of one letter, so that wherever 15 of them are, one aligned word is nothing else.
const MARK: &str = "Q";

/// The guest looks for the mark where a request is small, and leaves it where it is larger than 8 KiB.
const MARKED: usize = 40 << 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_one_request_is_visible_to_another() {
    let _machine = beside_others().await;
    let folder = folder("canary");
    let mounted = Mounted::new(&folder);
    let guests = [("canary", GUEST.to_owned()), ("other", GUEST.replace("\"page\"", "\"leaf\""))];
    let policies = format!("--policies={}", policies(&folder, &guests).display());
    // More than the 4 MiB that are cleared by writing, so that what is given back to the kernel is looked at too. Fewer
    // instances than policies, so that each slot goes from one to the next.
    let limits = ["--max-calls=2", "--max-guest-memory=8Mi", "--timeout=20s"].map(str::to_owned);
    let mut server = Server::start(mounted.flags().iter().chain([&policies]).chain(&limits)).await;

    let client = || Client::new(&mounted.trust(), server.address);
    let counts = Arc::new(Counts { until: soak().map(|time| Instant::now() + time), ..Counts::default() });
    let mut tasks = JoinSet::new();
    for path in ["/validate/canary?timeout=20s", "/validate/other?timeout=20s"] {
        tasks.spawn(leave(client(), path, Arc::clone(&counts)));
        tasks.spawn(look(client(), path, Arc::clone(&counts)));
    }
    tasks.spawn(inject(client(), Arc::clone(&counts)));
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    let [left, injected, looked] =
        [&counts.left, &counts.injected, &counts.looked].map(|one| one.load(Ordering::Relaxed));
    println!("canary: {left} marked by guests, {injected} by the embedded module, {looked} looked and found nothing");
    assert!(left > looked / 4 && injected > looked / 4, "too few marks to show anything");
    server.runs();
}

/// The guest is not blind: what a request brings itself is found, in its memory and in what its host calls left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_there_is_found() {
    let _machine = beside_others().await;
    let folder = folder("canary-control");
    let mounted = Mounted::new(&folder);
    // Looks after it has asked for its request instead of before.
    let early = GUEST.replace(";; EARLY", "(call $request (i32.const 60000) (i32.const 65536))");
    let host_call = GUEST.replace(
        ";; EARLY",
        "(drop (call $host_call (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
           (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))",
    );
    let global = GUEST.replace(";; EARLY", "(global.set $visits (i64.const 1))");
    let table = GUEST.replace(";; EARLY", "(drop (table.grow $table (ref.null func) (i32.const 1)))");
    let element = GUEST.replace(";; EARLY", "(table.set $table (i32.const 3) (ref.func $marked))");
    let zero = GUEST.replace(";; EARLY", "(i32.store8 (i32.const 131071) (i32.const 1))");
    let guests = [
        ("memory", early),
        ("buffer", host_call),
        ("global", global),
        ("table", table),
        ("element", element),
        ("zero", zero),
    ];
    let policies = format!("--policies={}", policies(&folder, &guests).display());
    let server = Server::start(mounted.flags().iter().chain([&policies, &"--max-guest-memory=8Mi".to_owned()])).await;
    let mut client = Client::new(&mounted.trust(), server.address);
    for (id, found) in [
        ("memory", "memory"),
        ("buffer", "buffer"),
        ("global", "global"),
        ("table", "table"),
        ("element", "table"),
        ("zero", "memory"),
    ] {
        let asked = Asked::new();
        let reply = client.post(&format!("/validate/{id}?timeout=20s"), asked.body.clone()).await.unwrap();
        let told = asked.allowed(&reply).expect_err(id);
        assert!(told.contains(&format!("\"message\":\"{found}\"")), "{id}: {told}");
    }
}

/// What was done so far, and how long it goes on.
#[derive(Default)]
struct Counts {
    /// In a soak; else until enough have looked.
    until: Option<Instant>,
    left: AtomicUsize,
    injected: AtomicUsize,
    looked: AtomicUsize,
}

impl Counts {
    fn go_on(&self) -> bool {
        match self.until {
            Some(until) => Instant::now() < until,
            None => self.looked.load(Ordering::Relaxed) < REQUESTS,
        }
    }
}

/// Lets a guest leave the mark all over its memory, its table, its global and the host's buffers.
async fn leave(mut client: Client, path: &str, counts: Arc<Counts>) {
    while counts.go_on() {
        let asked = Asked::with(&MARK.repeat(MARKED));
        asked.allowed(&client.post(path, asked.body.clone()).await.unwrap()).unwrap();
        counts.left.fetch_add(1, Ordering::Relaxed);
    }
}

/// Lets the embedded module work on requests full of the mark.
async fn inject(mut client: Client, counts: Arc<Counts>) {
    while counts.go_on() {
        let asked = Asked::with(&MARK.repeat(MARKED));
        let reply = client.post(GOOD, asked.body.clone()).await.unwrap();
        asked.proven(&reply, &[VERSION.to_owned()]).unwrap();
        counts.injected.fetch_add(1, Ordering::Relaxed);
    }
}

/// Looks for the mark.
async fn look(mut client: Client, path: &str, counts: Arc<Counts>) {
    while counts.go_on() {
        let asked = Asked::new();
        let reply = client.post(path, asked.body.clone()).await.unwrap();
        let review = asked.allowed(&reply).unwrap();
        assert!(!review.to_string().contains(&MARK.repeat(15)), "{review}");
        counts.looked.fetch_add(1, Ordering::Relaxed);
    }
}

/// Before it has its request, everything that the module can reach has to be as the module says it is. Afterwards the mark
/// has to be nowhere, and one that is written by the module itself has to be found.
const GUEST: &str = r#"
(module
  ;; IMPORTS
  (memory (export "memory") 2)
  (table $table 4 4000 funcref)
  (elem declare func $marked)
  (global $visits (mut i64) (i64.const 0))
  (data (i32.const 0) "{\"valid\":true}")
  (data (i32.const 32) "{\"accepted\":true}")
  (data (i32.const 64) "{\"accepted\":false,\"message\":\"memory\"}")
  (data (i32.const 128) "{\"accepted\":false,\"message\":\"global\"}")
  (data (i32.const 192) "{\"accepted\":false,\"message\":\"table\"}")
  (data (i32.const 256) "{\"accepted\":false,\"message\":\"buffer\"}")
  (data (i32.const 320) "{\"accepted\":false,\"message\":\"marked\"}")
  (data (i32.const 384) "{\"accepted\":false,\"message\":\"blind\"}")
  (data (i32.const 448) "no such operation")
  ;; Makes the second module another one, with memory of its own.
  (data (i32.const 512) "page")

  (func $end (result i32) (i32.mul (memory.size) (i32.const 65536)))

  ;; All memory that there is.
  (func $grow
    (loop $more (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))))

  ;; Whether a word of memory behind the module's own data is something else than zero.
  (func $used (result i32)
    (local $at i32)
    (local.set $at (i32.const 1024))
    (loop $next
      (if (i64.ne (i64.load (local.get $at)) (i64.const 0)) (then (return (i32.const 1))))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))
      (br_if $next (i32.lt_u (local.get $at) (call $end))))
    (i32.const 0))

  ;; Whether a word of memory is the mark.
  (func $marked (result i32)
    (local $at i32)
    (loop $next
      (if (i64.eq (i64.load (local.get $at)) (i64.const 0x5151515151515151)) (then (return (i32.const 1))))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))
      (br_if $next (i32.lt_u (local.get $at) (call $end))))
    (i32.const 0))

  ;; Whether the table is not as it was declared.
  (func $filled (result i32)
    (local $at i32)
    (if (i32.ne (table.size $table) (i32.const 4)) (then (return (i32.const 1))))
    (loop $next
      (if (i32.eqz (ref.is_null (table.get $table (local.get $at)))) (then (return (i32.const 1))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $at) (i32.const 4))))
    ;; What comes when it grows is what is asked for, so only its size is known to be new.
    (i32.const 0))

  (func $say (param $at i32) (param $length i32) (result i32)
    (call $response (local.get $at) (local.get $length))
    (i32.const 1))

  (func $look (result i32)
    (local $end i32)
    ;; EARLY
    (if (call $used) (then (return (call $say (i32.const 64) (i32.const 37)))))
    (call $grow)
    (if (call $used) (then (return (call $say (i32.const 64) (i32.const 37)))))
    (if (i64.ne (global.get $visits) (i64.const 0)) (then (return (call $say (i32.const 128) (i32.const 37)))))
    (if (call $filled) (then (return (call $say (i32.const 192) (i32.const 36)))))
    (if (i32.or (call $host_response_len) (call $host_error_len))
      (then (return (call $say (i32.const 256) (i32.const 37)))))
    (call $host_response (i32.const 2048))
    (call $host_error (i32.const 2048))
    (if (call $used) (then (return (call $say (i32.const 256) (i32.const 37)))))
    (call $request (i32.const 60000) (i32.const 65536))
    (if (call $marked) (then (return (call $say (i32.const 320) (i32.const 37)))))
    ;; 15 letters at an odd place, the worst that there can be.
    (local.set $end (i32.sub (call $end) (i32.const 23)))
    (i64.store (local.get $end) (i64.const 0x5151515151515151))
    (i64.store offset=7 (local.get $end) (i64.const 0x5151515151515151))
    (if (i32.eqz (call $marked)) (then (return (call $say (i32.const 384) (i32.const 36)))))
    (call $say (i32.const 32) (i32.const 17)))

  (func $leave (result i32)
    (call $grow)
    (call $request (i32.const 60000) (i32.const 65536))
    (memory.fill (i32.const 1024) (i32.const 0x51) (i32.sub (call $end) (i32.const 1024)))
    (global.set $visits (i64.const 0x5151515151515151))
    (drop (table.grow $table (ref.func $marked) (i32.const 3996)))
    (table.fill $table (i32.const 0) (ref.func $marked) (i32.const 4))
    (call $log (i32.const 1024) (i32.const 65536))
    (call $error (i32.const 1024) (i32.const 65536))
    (drop (call $host_call (i32.const 1024) (i32.const 64) (i32.const 1024) (i32.const 64)
      (i32.const 1024) (i32.const 64) (i32.const 1024) (i32.const 65536)))
    (call $response (i32.const 1024) (i32.const 1048576))
    (call $say (i32.const 32) (i32.const 17)))

  (func (export "__guest_call") (param $operation i32) (param $payload i32) (result i32)
    (if (i32.eq (local.get $operation) (i32.const 17)) ;; validate_settings
      (then (return (call $say (i32.const 0) (i32.const 14)))))
    (if (i32.ne (local.get $operation) (i32.const 8)) ;; validate
      (then
        (call $error (i32.const 448) (i32.const 17))
        (return (i32.const 0))))
    (if (i32.gt_u (local.get $payload) (i32.const 8192)) (then (return (call $leave))))
    (call $look)))
"#;
