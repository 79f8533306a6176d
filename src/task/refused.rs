//! What the compiler must refuse, as documentation tests. `accepted` compiles
//! and runs; every other program differs from it in one way.

#[rustfmt::skip] // or it moves the attribute to the right each time
macro_rules! program {
    ($name:ident, $expect:literal, $body:literal) => {
        #[doc = concat!(
            "```", $expect, "
            use cygnet::{Config, Node, ReadySet, Stack, Storage, TaskStorage, Tasks, turns};
            use smoltcp::phy::DeviceCapabilities;
            use std::cell::Cell;

            static READY: ReadySet<2> = ReadySet::new();
            let mut storage = Storage::<1, 64, 64>::new();
            let mut task_storage = TaskStorage::<2, 64>::new();
            let config = Config::new([2, 0, 0, 0, 0, 1], [1; 16]);
            let mut capabilities = DeviceCapabilities::default();
            capabilities.max_transmission_unit = 1514;
            let stack = Stack::new(&mut storage, &config, capabilities).unwrap();
            let tasks = Tasks::new(&mut task_storage, &READY);
            let node = Node::new(&stack, &tasks);
            ", $body, "
            ```"
        )]
        mod $name {}
    };
}

program!(
    accepted,
    "",
    "
            let local = Cell::new(1);
            node.spawn(async { local.set(2) }).unwrap();
            turns(node, |_| ());
"
);

program!(
    a_borrow_that_ends_before_the_loop,
    "compile_fail,E0597",
    "
            {
                let local = Cell::new(1);
                node.spawn(async { local.set(2) }).unwrap();
            }
            turns(node, |_| ());
"
);

program!(
    a_later_local_that_is_dropped_before_the_loop,
    "compile_fail,E0505",
    "
            let local = Cell::new(1);
            node.spawn(async { local.set(2) }).unwrap();
            drop(local);
            turns(node, |_| ());
"
);

program!(
    storage_that_moves,
    "compile_fail,E0505",
    "
            let moved = task_storage;
            turns(node, |_| ());
"
);

program!(
    tasks_that_move,
    "compile_fail,E0505",
    "
            let moved = tasks;
            turns(node, |_| ());
"
);

program!(
    storage_that_serves_two,
    "compile_fail,E0499",
    "
            let second = Tasks::new(&mut task_storage, &READY);
            turns(node, |_| ());
"
);

program!(
    a_node_that_outlives_its_tasks,
    "compile_fail,E0597",
    "
            let node = {
                let mut inner = TaskStorage::<2, 64>::new();
                let tasks = Tasks::new(&mut inner, &READY);
                Node::new(&stack, &tasks)
            };
            turns(node, |_| ());
"
);

program!(
    a_node_of_a_shorter_life,
    "compile_fail",
    "
            fn shorter<'short, 'long: 'short>(node: Node<'long>) -> Node<'short> {
                node
            }
"
);

program!(
    leave_to_step_that_escapes,
    "compile_fail,E0521",
    "
            let mut kept = None;
            turns(node, |turns| kept = Some(turns));
"
);

program!(
    a_node_on_another_thread,
    "compile_fail,E0277",
    "
            std::thread::scope(|scope| scope.spawn(|| node.now()).join()).unwrap();
"
);
