//! What the documentation says of a way: in a block between
//! `<!-- way: NAME -->` and `<!-- end of way -->` it names files below `src/` in
//! backquotes, `` `stack/ingress.rs` ``, in the order in which they are met.

use std::path::{Path, PathBuf};

/// The files that the documentation names on a way, each where it does so first.
///
/// # Errors
/// There is no such block, or there are several.
pub fn named(way: &str) -> Result<Vec<String>, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut pages: Vec<PathBuf> = vec![root.join("README.md"), root.join("src/lib.rs")];
    let docs = std::fs::read_dir(root.join("src/docs"));
    pages.extend(
        docs.into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path()),
    );
    let texts: Vec<String> = pages
        .iter()
        .filter_map(|page| std::fs::read_to_string(page).ok())
        .collect();
    let blocks: Vec<&str> = texts.iter().flat_map(|text| blocks(text, way)).collect();
    match blocks[..] {
        [block] => Ok(files(block)),
        ref blocks => Err(format!(
            "{} blocks `<!-- way: {way} -->` in the documentation",
            blocks.len()
        )),
    }
}

fn blocks<'a>(text: &'a str, way: &str) -> Vec<&'a str> {
    let begin = format!("<!-- way: {way} -->");
    let parts = text.split(&*begin).skip(1);
    parts
        .map(|part| part.split("<!-- end of way -->").next().unwrap_or(part))
        .collect()
}

fn files(block: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for word in block.split('`').skip(1).step_by(2) {
        let path = format!("src/{word}");
        if word.ends_with(".rs") && !found.contains(&path) {
            found.push(path);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_names_files_in_order_each_once() {
        let text = "`no.rs` <!-- way: x -->`b.rs`, then `a/c.rs` or\n`word`: `b.rs`<!-- end of way --> `d.rs`";
        let found = blocks(text, "x");
        assert_eq!(found.len(), 1);
        assert_eq!(files(found[0]), ["src/b.rs", "src/a/c.rs"]);
        assert!(blocks(text, "y").is_empty());
    }
}
