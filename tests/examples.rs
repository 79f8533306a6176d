//! Every example runs to its end and finds what it expects.
#![cfg(feature = "lab")]
#![allow(missing_docs)]
#![allow(clippy::duplicate_mod, reason = "each example brings its hosts")]

#[path = "../examples/chat.rs"]
mod chat;
#[path = "../examples/hello.rs"]
mod hello;
#[path = "../examples/proxy.rs"]
mod proxy;
#[path = "../examples/statics.rs"]
mod statics;
#[path = "../examples/timeouts.rs"]
mod timeouts;

#[test]
fn hello_greets_a_visitor() {
    hello::main();
}

#[test]
fn chat_passes_lines_on() {
    chat::main();
}

#[test]
fn proxy_copies_both_ways() {
    proxy::main();
}

#[test]
fn timeouts_end_what_takes_too_long() {
    timeouts::main();
}

#[test]
fn statics_are_all_a_board_needs() {
    statics::main();
}
