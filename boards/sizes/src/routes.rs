//! The web server that is measured over both networks: a page, a path with a number in it
//! answered as JSON, and a form.

use picoserve::extract::Form;
use picoserve::response::{File, Json};
use picoserve::routing::{PathRouter, get, get_service, parse_path_segment, post};
use picoserve::{Config, Router, Timeouts};
use serde::{Deserialize, Serialize};

/// The head of a request.
pub const HEAD: usize = 1024;

pub static CONFIG: Config = Config::new(Timeouts::const_default()).keep_connection_alive();

#[derive(Serialize)]
struct Swan {
    number: u32,
    swims: bool,
}

#[derive(Deserialize)]
struct Level {
    level: u8,
}

/// One for each connection: its type has no name, so that no static can have it.
pub fn app() -> Router<impl PathRouter> {
    let swan = |number| async move {
        Json(Swan {
            number,
            swims: true,
        })
    };
    let level = |Form(Level { level })| async move { Json(level) };
    Router::new()
        .route("/", get_service(File::html("<h1>Hello World</h1>\n")))
        .route(("/swans", parse_path_segment()), get(swan))
        .route("/level", post(level))
}
