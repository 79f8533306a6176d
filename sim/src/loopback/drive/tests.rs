use super::*;
use crate::cli::{Command, LoopbackConfig, parse};
use crate::loopback::client::Counts;
use crate::loopback::{PORT, WIRE_FRAMES, boxed, hosts, populate};
use crate::services::TASK_BYTES;
use cygnet::lab::wire::{Faults, Wire};
use cygnet::{Backlog, service};

fn config(words: &str) -> LoopbackConfig {
    let words = ["sim", "loopback"].into_iter().chain(words.split(' '));
    match parse(words).unwrap().command {
        Command::Loopback(config) => config,
        _ => unreachable!(),
    }
}

/// Runs two clients of hello, two requests each, against `serve`; `more` may add
/// a task to the client host.
fn run(
    serve: impl FnOnce(Node<'static>),
    more: impl FnOnce(Node<'static>),
) -> (Ending, &'static Counts) {
    let config = config("--clients 2 --requests 2");
    let wire = boxed(|| Wire::<WIRE_FRAMES>::new(Faults::NONE));
    let (mut server_end, mut client_end) = wire.ends();
    let room_for_more = LoopbackConfig {
        clients: 3,
        ..config.clone()
    };
    let (server, clients) = hosts(&room_for_more, &server_end).unwrap();
    serve(server);
    let job = populate(&config, clients).unwrap();
    more(clients);
    let out: &'static Out = Box::leak(Box::new(Out::new(Box::new(std::io::sink()))));
    let mut run = Run {
        server,
        job,
        stop: StopFlag::default(),
        out,
        next_delivery: &|| wire.next_delivery(),
        progress: Progress::new(&config),
        patience: 1000,
    };
    let (end, _) = run.drive(&mut server_end, &mut client_end);
    (end, &job.counts)
}

fn hello(node: Node<'static>) {
    let hello = service::hello(node, PORT, Backlog(8));
    node.spawn_named("hello", hello).unwrap();
}

/// A server that gives this answer to whatever it hears.
fn answers(node: Node<'static>, answer: &'static [u8]) {
    let wrong = service::serve(node, "wrong", PORT, Backlog(8), async move |mut stream| {
        while let Ok(1..) = stream.read(&mut [0; 64]).await {
            let _ = stream.write_all(answer).await;
        }
    });
    node.spawn_named("wrong", wrong).unwrap();
}

#[test]
fn a_run_ends_when_the_clients_have_ended() {
    let (end, counts) = run(hello, |_| ());
    assert_eq!((end, counts.answered.get()), (Ending::Over, 4));
}

#[test]
fn a_deadlock_is_told_with_what_everybody_waits_for() {
    let (end, counts) = run(hello, |clients| {
        let forever = std::future::pending::<()>();
        clients.spawn_named("forever", forever).unwrap();
    });
    let waiting = [
        "server task 0 hello (accept, :5000)",
        "client task 2 forever (other, -)",
    ];
    let (why, waiting) = (
        "nothing can happen any more",
        waiting.map(String::from).into(),
    );
    assert_eq!(
        (end, counts.answered.get()),
        (Ending::Stuck { why, waiting }, 4)
    );
}

#[test]
fn a_task_that_spins_ends_the_run_too() {
    let (end, counts) = run(hello, |clients| {
        let spin = async move {
            loop {
                clients.yield_now().await;
            }
        };
        clients.spawn_named("spin", spin).unwrap();
    });
    let waiting = [
        "server task 0 hello (accept, :5000)",
        "client task 2 spin (turn, -)",
    ];
    let (why, waiting) = (
        "nothing moves, turn after turn",
        waiting.map(String::from).into(),
    );
    assert_eq!(
        (end, counts.answered.get()),
        (Ending::Stuck { why, waiting }, 4)
    );
}

#[test]
fn a_wrong_answer_is_a_failure_and_is_told() {
    for (answer, says) in [
        (&b"Hello Swans\n"[..], "byte 6 of an answer is 0x53"),
        (
            b"Hello World\nHello World\n",
            "more than the answer came: Hello World",
        ),
    ] {
        let (end, counts) = run(|server| answers(server, answer), |_| ());
        assert_eq!((end, counts.failures.get()), (Ending::Over, 2));
        let first = counts.first.borrow();
        assert!(
            first.as_deref().is_some_and(|why| why.contains(says)),
            "{first:?}"
        );
    }
}

/// What a task needs, so that `TASK_BYTES` is neither guessed nor wasteful.
#[test]
fn every_task_has_room_enough() {
    fn size<F: Future>(_: impl Fn(cygnet::TcpStream<'static>) -> F) -> usize {
        size_of::<F>()
    }
    let sizes = [
        size(service::hello_client),
        size(service::echo_client),
        size(service::discard_client),
        size(service::chargen_client),
        size(|stream| service::daytime_client(stream, 0)),
    ];
    println!("{sizes:?}");
    assert!(
        sizes.into_iter().all(|size| size <= TASK_BYTES),
        "{sizes:?}"
    );
}
