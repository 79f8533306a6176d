//! What the registry shows of each package is whole there: pages link to pages of the web,
//! since files of the repository are not beside them, and the first command is one that
//! works without the repository. The README, which is the repository's, is one sitting
//! long, and its links lead to what is there.

use std::path::Path;

/// The packages that are published, by their folders.
const PACKAGES: [&str; 4] = ["", "compat", "sim/world", "sim/world/lockstep"];

/// The page that a manifest names.
fn readme(manifest: &str) -> Option<&str> {
    let line = manifest.lines().find_map(|it| it.strip_prefix("readme = "));
    line.map(|name| name.trim_matches('"'))
}

/// Where a page's links lead.
fn links(page: &str) -> impl Iterator<Item = &str> {
    page.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
}

fn wrong(page: &str) -> Vec<String> {
    let of_the_web = |link: &&str| link.starts_with("https://") || link.starts_with('#');
    let mut found: Vec<String> = links(page)
        .filter(|link| !of_the_web(link))
        .map(|link| format!("{link} is not there"))
        .collect();
    let command = page
        .split("```sh\n")
        .nth(1)
        .and_then(|it| it.lines().next());
    if command.is_some_and(|it| !it.starts_with("cargo new ") && !it.starts_with("cargo add ")) {
        found.push(format!("{command:?} needs the repository"));
    }
    found
}

#[test]
fn the_pages_of_the_registry_are_whole_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = 0;
    for package in PACKAGES {
        let read = |file: &str| std::fs::read_to_string(root.join(package).join(file)).ok();
        let Some(manifest) = read("Cargo.toml") else {
            continue; // A package of the registry is alone.
        };
        let name = readme(&manifest).unwrap_or_else(|| panic!("{package} has no page"));
        let page = read(name).unwrap_or_else(|| panic!("{package} has no {name}"));
        assert_eq!(wrong(&page), [""; 0], "{package}/{name}");
        pages += 1;
    }
    assert!(pages == PACKAGES.len() || pages == 1, "{pages} pages");
}

/// How many lines the README may have; what is deeper is a page of the documentation.
const README_LINES: usize = 250;

/// What is wrong with the repository's own page.
fn wrong_here(page: &str, is_there: impl Fn(&str) -> bool) -> Vec<String> {
    let lines = page.lines().count();
    let long = (lines > README_LINES).then(|| format!("{lines} lines"));
    let of_files = |link: &&str| !link.starts_with("https://") && !link.starts_with('#');
    let files = links(page).filter(of_files);
    let files = files.map(|link| link.split('#').next().unwrap_or(link));
    let lost = files.filter(|file| !is_there(file));
    long.into_iter()
        .chain(lost.map(|file| format!("{file} is not there")))
        .collect()
}

#[test]
fn the_readme_is_short_and_its_links_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if !root.join("bench").exists() {
        return; // A package of the registry is alone.
    }
    let page = std::fs::read_to_string(root.join("README.md")).unwrap();
    let is_there = |file: &str| root.join(file).exists();
    assert_eq!(wrong_here(&page, is_there), [""; 0]);
    for entry in std::fs::read_dir(root.join("src/docs")).unwrap() {
        let file = format!("](src/docs/{}", entry.unwrap().file_name().display());
        assert!(
            page.contains(&file) || file.ends_with("/registry.md"),
            "{file}"
        );
    }
}

#[test]
fn what_is_wrong_with_the_readme_is_told() {
    let page = format!("[a](here.md#a) [b](gone.md)\n{}", "\n".repeat(README_LINES));
    let found = wrong_here(&page, |file| file == "here.md");
    assert_eq!(found, ["251 lines", "gone.md is not there"]);
}

#[test]
fn what_is_wrong_with_a_page_is_told() {
    let page = "[a](https://a.example) ![b](b.svg) [c](#c)\n```sh\ncargo run\n```\n";
    let found = wrong(page);
    assert_eq!(found.len(), 2);
    assert!(found[0].starts_with("b.svg"));
    assert!(found[1].contains("cargo run"));
}
