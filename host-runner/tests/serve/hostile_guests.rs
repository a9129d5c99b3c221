//! Harmful modules: each one ends as documented, is counted as what it did, and disturbs neither the process nor the good
//! policy beside it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinSet;

use crate::client::Client;
use crate::guests::{ENDLESS, GOOD, LARGE, guest, policies};
use crate::mounted::Mounted;
use crate::reviews::{Asked, VERSION};
use crate::support::{Server, beside_others, folder};

/// What is done, and as what it ends.
struct Harm {
    id: &'static str,
    what: &'static str,
    status: u16,
    outcome: &'static str,
}

const fn harm(id: &'static str, what: &'static str, status: u16, outcome: &'static str) -> Harm {
    Harm { id, what, status, outcome }
}

const HARMS: &[Harm] = &[
    harm("endless-loop", ENDLESS, 504, "deadline"),
    harm(
        "memory-hog",
        "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable",
        500,
        "memory",
    ),
    harm(
        "table-hog",
        "(loop $more (br_if $more (i32.ne (table.grow $table (ref.null func) (i32.const 999)) (i32.const -1)))) unreachable",
        500,
        "memory",
    ),
    harm("answer-outside-of-memory", "(call $response (i32.const -1) (i32.const -1))", 500, "contract"),
    harm("request-outside-of-memory", "(call $request (i32.const 0) (i32.const 65535))", 500, "contract"),
    harm(
        "host-call-outside-of-memory",
        "(drop (call $host_call (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
            (i32.const 0) (i32.const 0) (i32.const 65000) (i32.const 1000)))",
        500,
        "contract",
    ),
    harm("endless-output", "(loop $again (call $response (i32.const 0) (i32.const 65536)) (br $again))", 500, "output"),
    harm("endless-log", "(loop $again (call $log (i32.const 0) (i32.const 65536)) (br $again))", 500, "output"),
    harm(
        "huge-answer",
        "(drop (memory.grow (i32.const 512))) (call $response (i32.const 0) (i32.const 33554432))",
        500,
        "output",
    ),
    harm(
        "huge-host-call",
        "(drop (memory.grow (i32.const 512)))
         (drop (call $host_call (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
            (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 33554432)))",
        500,
        "output",
    ),
    harm(
        "host-call-flood",
        "(loop $again
            (drop (call $host_call (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
                (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
            (br $again))",
        500,
        "host-calls",
    ),
    harm("unreachable", "unreachable", 500, "trap"),
    harm("deep-recursion", "(drop (call $deeper (i32.const 0)))", 500, "trap"),
    harm("no-json", "(call $response (i32.const 96) (i32.const 15)) (return (i32.const 1))", 500, "contract"),
    harm("wrong-types", "(call $response (i32.const 128) (i32.const 30)) (return (i32.const 1))", 500, "contract"),
    // An object of 15,000 lists within each other.
    harm(
        "deep-answer",
        "(memory.copy (i32.const 1024) (i32.const 192) (i32.const 34))
         (memory.fill (i32.const 1058) (i32.const 91) (i32.const 15000))
         (memory.fill (i32.const 16058) (i32.const 93) (i32.const 15000))
         (i32.store8 (i32.const 31058) (i32.const 125))
         (call $response (i32.const 1024) (i32.const 30035))
         (return (i32.const 1))",
        500,
        "contract",
    ),
    harm("silence", "(return (i32.const 1))", 500, "contract"),
    harm("error", "(call $error (i32.const 64) (i32.const 17)) (return (i32.const 0))", 500, "guest-error"),
];

/// How often each one is asked for: once could be luck.
const TIMES: u64 = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn harmful_modules_end_as_documented_while_the_good_policy_answers() {
    let _machine = beside_others().await;
    let folder = folder("hostile-guests");
    let mounted = Mounted::new(&folder);
    let guests: Vec<_> = HARMS.iter().map(|harm| (harm.id, guest(harm.what))).collect();
    let policies = format!("--policies={}", policies(&folder, &guests).display());
    let mut server = Server::start(mounted.flags().iter().chain([&policies, &"--timeout=20s".to_owned()])).await;

    let stop = Arc::new(AtomicBool::new(false));
    let good = tokio::spawn(ask_the_good(Client::new(&mounted.trust(), server.address), Arc::clone(&stop)));
    let mut asking = JoinSet::new();
    for harm in HARMS {
        let client = Client::new(&mounted.trust(), server.address);
        asking.spawn(async move { (harm.id, ask(harm, client).await) });
    }
    let mut wrong = Vec::new();
    while let Some(asked) = asking.join_next().await {
        let (id, asked) = asked.unwrap();
        wrong.extend(asked.err().map(|error| format!("{id}: {error}")));
    }
    stop.store(true, Ordering::Relaxed);
    let good = good.await.unwrap();

    for harm in HARMS {
        let counted = async |labels: &[&str]| server.metric("fedcar_admission_requests_total", labels).await;
        let policy = format!("policy=\"{}\"", harm.id);
        let outcome = format!("outcome=\"{}\"", harm.outcome);
        // Each is asked for once as a small request too, which is allowed.
        let found = (counted(&[&policy, &outcome]).await, counted(&[&policy]).await);
        if found != (TIMES, TIMES + 1) {
            wrong.push(format!("{}: counted {found:?} as {} and in all", harm.id, harm.outcome));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let answered = good.expect("the good policy answers meanwhile");
    assert!(answered > 10, "the good policy answered {answered} requests, too few to show anything");
    server.runs();
}

async fn ask(harm: &Harm, mut client: Client) -> Result<(), String> {
    // What ends by something else than its time has plenty of it.
    let path = |timeout: u8| format!("/validate/{}?timeout={timeout}s", harm.id);
    let usual = Asked::new();
    usual.allowed(&client.post(&path(20), usual.body.clone()).await?)?;
    let path = path(if harm.status == 504 { 1 } else { 20 });
    for _ in 0..TIMES {
        let reply = client.post(&path, Asked::of_size(LARGE).body).await?;
        if reply.status != harm.status {
            let body = String::from_utf8_lossy(&reply.body);
            return Err(format!("expected {}, found {}: {body}", harm.status, reply.status));
        }
    }
    Ok(())
}

/// Until it is told to stop; how many answers were right, or the first that was not.
async fn ask_the_good(mut client: Client, stop: Arc<AtomicBool>) -> Result<usize, String> {
    let mut answered = 0;
    while !stop.load(Ordering::Relaxed) {
        let asked = Asked::new();
        asked.proven(&client.post(GOOD, asked.body.clone()).await?, &[VERSION.to_owned()])?;
        answered += 1;
    }
    Ok(answered)
}
