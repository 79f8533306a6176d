//! Small houses: each rule is kept in one and broken in another.

use super::items;
use super::plan;
use super::rules::{self, Kind, Violation};
use super::test_code::without_tests;
use super::tokens::tokens;
use super::tree::{Sources, Tree};

fn sources(files: &[(&str, &str)]) -> Sources {
    let file = |(path, text): &(&str, &str)| (path.to_string(), text.to_string());
    files.iter().map(file).collect()
}

fn tree(files: &[(&str, &str)]) -> Tree {
    Tree::new(&sources(files), &[("cygnet", "src/lib.rs")])
}

/// Floors 1, 3, 4 and 4 beside it, with what is in their files.
fn house(frame: &str, table: &str, stack: &str, task: &str) -> Tree {
    // What has no code is no node.
    let [frame, table, stack, task] =
        [frame, table, stack, task].map(|text| format!("{text} fn code() {{}}"));
    tree(&[
        (
            "src/lib.rs",
            "mod frame; mod table; mod stack; mod task; pub use stack::*;",
        ),
        ("src/frame/mod.rs", "pub mod link;"),
        ("src/table/mod.rs", "mod slots; pub use self::slots::Slot;"),
        ("src/stack/mod.rs", "mod core; pub use core::Core;"),
        ("src/task/mod.rs", "pub mod timer;"),
        ("src/frame/link.rs", &frame),
        ("src/table/slots.rs", &table),
        ("src/stack/core.rs", &stack),
        ("src/task/timer.rs", &task),
    ])
}

const LINK: &str = "pub struct Link;";
const SLOTS: &str = "pub struct Slot;";
const CORE: &str = "pub struct Core;";
const WAKER: &str = "pub struct Waker;";

/// The facades of a house name more than each house has.
fn not_by_facades(mut unseen: Vec<Violation>) -> Vec<Violation> {
    unseen.retain(|it| !it.file.ends_with("mod.rs"));
    unseen
}

/// Arrows as words, without `src/` and `.rs`.
fn arrows(tree: &Tree) -> Vec<String> {
    let (arrows, unseen) = rules::arrows(tree);
    assert_eq!(not_by_facades(unseen), []);
    let name = |path: &str| {
        path.trim_start_matches("src/")
            .trim_end_matches(".rs")
            .to_owned()
    };
    let mut found: Vec<String> = arrows
        .iter()
        .map(|it| format!("{} {}", name(&it.from), name(&it.to)))
        .collect();
    found.dedup();
    found
}

fn on_floors(tree: &Tree) -> Vec<Kind> {
    let found = rules::floors(tree, &rules::arrows(tree).0);
    found.iter().map(|it| it.kind).collect()
}

fn circles(tree: &Tree) -> Vec<Violation> {
    rules::circles(&rules::arrows(tree).0)
}

#[test]
fn a_name_is_followed_to_the_file_that_declares_it() {
    let ways = [
        "use crate::table::Slot;",
        "use crate::{frame::link as other, table::{Slot as S}}; use other::Link;",
        "use crate::table::{self}; fn f(_: table::Slot) {}",
        "use super::super::table; fn f() { let _ = table::Slot; }",
        "fn f() { use crate::table::Slot; }",
        "fn f() { assert!(crate::table::Slot::new::<u8>()); }",
        "macro_rules! m { ($a:expr) => { $crate::table::Slot } }",
        "use crate::table::*; fn f(_: Slot) {}",
        "pub type S<'a> = &'a crate::table::Slot;",
        "struct S; impl From<crate::table::Slot> for S { fn f(c: char) -> bool { c == '\"' } }",
        "use super::*; fn f() { crate::table::Slot; }",
        "fn f<'a>(x: &'a u8) -> <crate::table::Slot as Fn>::Output {}",
    ];
    for way in ways {
        let found = arrows(&house(LINK, SLOTS, way, WAKER));
        assert!(found.contains(&"stack/core table/slots".into()), "{way}");
    }
}

#[test]
fn what_only_looks_like_a_path_is_none() {
    let others = [
        "// use crate::table::Slot;\n",
        "/// [`crate::table::Slot`]\nfn f() {}",
        "/* /* */ use crate::table::Slot; */",
        "const S: &str = \"use crate::table::Slot; \\\" crate::table::Slot\";",
        "const S: &str = r#\"\" crate::table::Slot\"#; const B: &[u8] = b\"crate::table::Slot\";",
        "const C: [char; 2] = ['\\'', '\"']; // crate::table::Slot \"\n",
        "use ::table::Slot; use other::table::Slot; use core::fmt::Display;",
        "use crate::table; use crate as all;",
        "struct Slot; fn f(table: u8) { table.slot(); let _ = Slot; }",
    ];
    for other in others {
        let found = arrows(&house(LINK, SLOTS, other, WAKER));
        assert_eq!(found, [""; 0], "{other}");
    }
}

#[test]
fn test_code_is_not_read() {
    let tests = [
        "#[cfg(test)] mod tests { use crate::table::Slot; }",
        "#[cfg(any(test, feature = \"lab\"))] pub(crate) mod tests { use crate::table::Slot; }",
        "#[cfg(all(any(test, feature = \"lab\"), not(loom)))] mod core_tests { use crate::table::Slot; }",
        "#[cfg(any(test, doctest))] fn f() where A: B, C: D { crate::table::Slot; }",
        "#[cfg(test)] const A: u8 = { 1 } + crate::table::Slot;",
        "#[cfg(test)] use crate::table::{Slot};",
        "#[cfg(all(test, not(loom)))] #[allow(x)] use crate::table::Slot;",
        "#[test] fn f<A, B>() { crate::table::Slot; }",
        "#[cfg(doctest)] #[doc = \"x\"] struct S(crate::table::Slot);",
        "#[cfg(doc)] #[doc = \"x\"] pub mod page { use crate::table::Slot; }",
        "#![cfg(test)] use crate::table::Slot;",
        "struct S { a: u8, #[cfg(test)] b: Vec<u8, crate::table::Slot>, c: u8 }",
        "impl S { #[cfg(test)] fn f() { crate::table::Slot; } fn g() {} }",
        "fn f() { #[cfg(test)] crate::table::Slot::f(1, 2); g(); }",
        "fn f() { match 1 { #[cfg(test)] 1 => { crate::table::Slot } 2 => {} } }",
    ];
    for test in tests {
        let found = arrows(&house(LINK, SLOTS, test, WAKER));
        assert_eq!(found, [""; 0], "{test}");
    }
    let others = [
        "#[cfg(not(test))] use crate::table::Slot;",
        "#[cfg(any(test, feature = \"lab\"))] fn audit() { crate::table::Slot; }",
        "#[cfg_attr(test, derive(Debug))] struct S(crate::table::Slot);",
        "#[cfg(test)] fn f() {} use crate::table::Slot;",
        "struct S { #[cfg(test)] a: Vec<u8, u8>, b: crate::table::Slot }",
        "fn f() { #[cfg(test)] let a = 1; crate::table::Slot; }",
        "impl S { #[cfg(test)] const A: [u8; 1] = { [1] }; fn f() { crate::table::Slot; } }",
    ];
    for other in others {
        let found = arrows(&house(LINK, SLOTS, other, WAKER));
        assert_eq!(found, ["stack/core table/slots"], "{other}");
    }
}

#[test]
fn an_image_may_name_tests() {
    let stack = "#[cfg(any(test, feature = \"lab\"))] pub mod tests; pub struct Core;";
    let task = "fn f() { crate::stack::core::tests::all(); }";
    assert_eq!(
        arrows(&house(LINK, SLOTS, stack, task)),
        ["task/timer stack/core"; 0]
    );
}

#[test]
fn a_path_that_leads_nowhere_is_told() {
    let found = rules::arrows(&house(LINK, SLOTS, "use crate::table::Gone;", WAKER)).1;
    let found = not_by_facades(found);
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].kind, &*found[0].file),
        (Kind::Unseen, "src/stack/core.rs")
    );
    // What a macro may have declared is taken to be there.
    let slots = "tables! { Gone }";
    let tree = house(LINK, slots, "use crate::table::slots::Gone;", WAKER);
    assert_eq!(arrows(&tree), ["stack/core table/slots"]);
}

#[test]
fn no_arrow_runs_up() {
    let down = "use crate::table::Slot; use crate::frame::link::Link; pub struct Core;";
    assert_eq!(on_floors(&house(LINK, SLOTS, down, WAKER)), []);
    let up = "use crate::stack::Core; pub struct Slot;";
    assert_eq!(on_floors(&house(LINK, up, CORE, WAKER)), [Kind::Up]);
    let by_reexport = "fn f(_: crate::Core) {}";
    assert_eq!(
        on_floors(&house(by_reexport, SLOTS, CORE, WAKER)),
        [Kind::Up]
    );
}

#[test]
fn stack_and_task_do_not_know_each_other() {
    let task = "use crate::stack::Core;";
    assert_eq!(on_floors(&house(LINK, SLOTS, CORE, task)), [Kind::Beside]);
    let stack = "use crate::task::timer::Waker;";
    assert_eq!(on_floors(&house(LINK, SLOTS, stack, WAKER)), [Kind::Beside]);
}

#[test]
fn every_file_is_on_a_floor() {
    let files = [("src/lib.rs", "mod utils;"), ("src/utils.rs", "fn f() {}")];
    assert_eq!(on_floors(&tree(&files)), [Kind::Homeless]);
    let files = [("src/lib.rs", "mod utils;"), ("src/utils.rs", "mod a;")];
    assert_eq!(on_floors(&tree(&files)), []);
    let files = [
        ("src/lib.rs", "mod node; fn f() {}"),
        ("src/node.rs", "fn f() {}"),
    ];
    assert_eq!(on_floors(&tree(&files)), [Kind::Homeless]);
}

#[test]
fn files_stand_in_no_circle() {
    let two = house(
        "use crate::table::Slot; pub struct Link;",
        "use crate::frame::link::Link; pub struct Slot;",
        CORE,
        WAKER,
    );
    let found = circles(&two);
    assert_eq!(found.len(), 1);
    assert!(found[0].what.starts_with("2 files"), "{}", found[0].what);
    let three = house(
        "use crate::table::Slot; pub struct Link;",
        "use crate::Core; pub struct Slot;",
        "use crate::frame::link::Link; pub struct Core;",
        WAKER,
    );
    assert!(circles(&three)[0].what.starts_with("3 files"));
    // What a circle reaches is not in it, nor is what reaches it.
    let beside = house(
        "use crate::table::Slot; pub struct Link(crate::task::timer::Waker);",
        "use crate::frame::link::Link; pub struct Slot;",
        "use crate::table::Slot; pub struct Core;",
        WAKER,
    );
    assert!(circles(&beside)[0].what.starts_with("2 files"));
    let row = house(
        LINK,
        "use crate::frame::link; pub struct Slot;",
        "use crate::table::Slot; pub struct Core;",
        WAKER,
    );
    assert_eq!(circles(&row), []);
}

#[test]
fn a_file_that_only_declares_and_names_is_no_node() {
    let child = ("src/service/echo.rs", "use super::serve; pub fn echo() {}");
    let lib = ("src/lib.rs", "mod service;");
    let facade = "mod echo; mod serve; pub use echo::echo; pub use serve::serve;";
    let serve = ("src/service/serve.rs", "pub fn serve() {}");
    let apart = tree(&[lib, ("src/service/mod.rs", facade), child, serve]);
    assert_eq!(arrows(&apart), ["service/echo service/serve"]);
    assert_eq!(circles(&apart), []);
    let with_code = "mod echo; pub use echo::echo; pub fn serve() {}";
    let together = tree(&[lib, ("src/service/mod.rs", with_code), child]);
    assert_eq!(circles(&together).len(), 1);
}

#[test]
fn modules_are_found_where_they_lie() {
    let lib = "mod node; #[path = \"odd/../odd/place.rs\"] mod time; mod event { pub mod inner; pub fn f() {} }";
    let node =
        "fn g() {} mod below; use crate::time::At; use crate::event::inner::I; use self::below::B;";
    let tree = tree(&[
        ("src/lib.rs", lib),
        ("src/node.rs", node),
        (
            "src/node/below.rs",
            "pub struct B; fn f() { super::g(); crate::event::f() }",
        ),
        ("src/odd/place.rs", "pub struct At;"),
        ("src/event/inner.rs", "pub struct I; use super::f;"),
    ]);
    let (found, _) = rules::arrows(&tree);
    let to = |from: &str| -> Vec<&str> {
        let of = found.iter().filter(|it| it.from == from);
        of.map(|it| &*it.to).collect()
    };
    assert_eq!(
        to("src/node.rs"),
        [
            "src/event/inner.rs",
            "src/node/below.rs",
            "src/odd/place.rs"
        ]
    );
    assert_eq!(to("src/node/below.rs"), ["src/lib.rs", "src/node.rs"]);
    assert_eq!(to("src/event/inner.rs"), ["src/lib.rs"]);
}

#[test]
fn crates_know_each_other_by_name() {
    let files = sources(&[
        ("sim/src/lib.rs", "pub mod run;"),
        ("sim/src/run.rs", "pub fn run() {}"),
        ("sim/src/main.rs", "fn main() { cygnet_sim::run::run() }"),
    ]);
    let roots = [
        ("cygnet_sim", "sim/src/lib.rs"),
        ("cygnet_sim", "sim/src/main.rs"),
    ];
    let (found, _) = rules::arrows(&Tree::new(&files, &roots));
    let found: Vec<_> = found.iter().map(|it| (&*it.from, &*it.to)).collect();
    assert_eq!(found, [("sim/src/main.rs", "sim/src/run.rs")]);
}

#[test]
fn methods_stand_with_their_type() {
    let kept = [
        "pub struct Core; impl<'a, T: Fn(u8) -> u8> Core<'a, T> {} impl Drop for Core {}",
        // A foreign trait, in an adapter file; one of ours, in the type's file.
        "use crate::table::Slot; impl<T> core::fmt::Debug for &mut Slot<T> {} pub struct Core;",
        "pub struct Core; impl<'a> crate::task::timer::Wake for &'a Core {}",
        "pub struct Core; type C = Core; impl C {}",
        "pub fn f() -> impl Fn(crate::table::Slot) { crate::table::Slot }",
        // A macro that is given a struct declares it.
        "with! { #[a] pub(crate) struct C<'a>: B { } } impl crate::task::timer::Wake for C<'_> {}",
    ];
    let waker = "pub trait Wake {} impl Wake for crate::table::Slot {} impl<T: Fn()> Wake for T {}";
    for stack in kept {
        let found = rules::impls(&house(LINK, SLOTS, stack, waker));
        assert_eq!(found, [], "{stack}");
    }
    let broken = [
        "use crate::table::Slot; impl Slot {}",
        "impl<'a, const N: usize> crate::table::Slot<'a, N> where u8: Copy, {}",
        "use crate::table::Slot; type S = Slot; impl S {}",
        "use crate::table::Slot; impl Drop for Slot {}",
        "use crate::table::Slot; impl crate::task::timer::Wake for &'a mut Slot {}",
        "use crate::task::timer::Wake; impl<T> Wake for [T] {}",
        "use crate::table::*; unsafe\nimpl Slot {}",
    ];
    for stack in broken {
        let found = rules::impls(&house(LINK, SLOTS, stack, waker));
        let kinds: Vec<Kind> = found.iter().map(|it| it.kind).collect();
        assert_eq!(kinds, [Kind::Impl], "{stack}");
    }
}

#[test]
fn a_core_is_made_of_few_parts() {
    let core = |fields: usize| {
        let fields: String = (0..fields)
            .map(|n| format!("/// A part.\n #[cfg(x)] pub(crate) part{n}: Map<u8, [u8; 4]>,\n"))
            .collect();
        rules::cores(&house(
            LINK,
            SLOTS,
            &format!("pub struct Core<'a> where u8: Copy {{ {fields} }}"),
            WAKER,
        ))
    };
    assert_eq!(core(14), []);
    assert_eq!(core(15).len(), 1);
    assert_eq!(core(15)[0].kind, Kind::Core);
}

#[test]
fn a_file_has_500_lines_at_most() {
    let lines = |count: usize| {
        let files = sources(&[("boards/a.rs", &"\n".repeat(count))]);
        rules::long(files.iter()).len()
    };
    assert_eq!(lines(500), 0);
    assert_eq!(lines(501), 1);
}

#[test]
fn a_file_of_the_core_that_no_module_names_is_told() {
    let files = sources(&[
        ("src/lib.rs", "mod node; #[cfg(doctest)] mod refused;"),
        (
            "src/node.rs",
            "#[path = \"node_tests.rs\"] #[cfg(test)] mod tests;",
        ),
        ("src/refused.rs", "fn f() {}"),
        ("src/node_tests.rs", "fn f() {}"),
        ("src/left.rs", "fn f() {}"),
        ("sim/left.rs", "fn f() {}"),
    ]);
    let tree = Tree::new(&files, &[("cygnet", "src/lib.rs")]);
    let found = rules::orphans(&tree, &files);
    let found: Vec<_> = found.iter().map(|it| (it.kind, &*it.file)).collect();
    assert_eq!(found, [(Kind::Orphan, "src/left.rs")]);
}

#[test]
fn lines_of_code_are_those_with_code_on_them() {
    let node = "//! Text.\n\n/// Text.\npub fn f() { // text\n  \"two\n lines\"; /* text\n */\n}\n\
        #[cfg(test)]\nmod tests {\n  fn f() {}\n}\n";
    let files = [
        ("src/lib.rs", "mod node;\nmod lab;"),
        ("src/node.rs", node),
        (
            "src/lab/mod.rs",
            "fn f() {}\n#[cfg(test)]\nuse a::{\n  b,\n};",
        ),
    ];
    let tree = tree(&files);
    let lines: Vec<_> = rules::code_lines(&tree).into_iter().collect();
    assert_eq!(lines, [(None, 2), (Some(6), 4), (Some(9), 1)]);
    assert_eq!(rules::much(&tree), (6, vec![]));
    let large = "fn f() {}\n".repeat(plan::CODE_LINES + 1);
    let (lines, found) = rules::much(&house(&large, "", "", ""));
    assert_eq!((lines, found[0].kind), (plan::CODE_LINES + 10, Kind::Much));
}

#[test]
fn tokens_are_what_they_are_in_rust() {
    let text = "r#type 'a 'b' b'\\'' '\\u{1F600}' 1.5e3 1..2 a::b->c=>d br##\"\"#\"## /*/**/*/ _x";
    let found: Vec<&str> = tokens(text).iter().map(|t| t.text).collect();
    let wanted = [
        "type",
        "'a",
        "'b'",
        "b'\\''",
        "'\\u{1F600}'",
        "1.5e3",
        "1",
        ".",
        ".",
        "2",
        "a",
        "::",
        "b",
        "->",
        "c",
        "=>",
        "d",
        "br##\"\"#\"##",
        "_x",
    ];
    assert_eq!(found, wanted);
    assert_eq!(tokens("a \"b\n\" c")[2].lines, (2, 2));
}

#[test]
fn items_end_where_they_end() {
    let text = "const A: [u8; 2] = { [1; 2] }; fn f<const N: usize>() -> [u8; { 1 }] {} static B: u8 = 1; \
        struct C(u8); struct D { d: u8 } enum E {} m! {} trait F { fn f(); } union G { a: u8 } use h::i as j;";
    let module = items::module(&without_tests(tokens(text)).0);
    let names: Vec<&str> = module.names.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["A", "f", "B", "C", "D", "E", "F", "G", "j"]);
    assert!(module.macros && module.has_code);
}
