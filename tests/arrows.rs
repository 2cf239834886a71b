//! Which file of a crate knows which: read off the `use` lines, so that a circle of files, or an arrow from a lower room
//! of service-kit to a higher one, can't come back unseen. A re-export is no arrow; who uses a thing through it knows the
//! file that the thing stands in.

use std::collections::{BTreeMap, BTreeSet};

use super::architecture::{production, root, without_tests};

/// The rooms of service-kit, from the lowest: a room is a folder, or a file of the crate's root.
const ROOMS: [&str; 13] = [
    "clock",
    "descriptors",
    "telemetry",
    "shutdown",
    "soft_state",
    "answer",
    "identity",
    "call",
    "web",
    "write",
    "feed",
    "follow",
    "serve",
];

/// Files of service-kit that stand outside of the rooms and that no room knows.
const OUTSIDE: [&str; 2] = ["testing", "testing_redis"];

/// A module's path within its crate; the root's is empty.
type Module = Vec<String>;

/// The files of one crate.
#[derive(Default)]
struct Files {
    texts: BTreeMap<Module, String>,
    /// What is made public under another path, and the path where it stands.
    exported: BTreeMap<Module, Module>,
}

impl Files {
    fn read(folder: &str) -> Self {
        let base = root().join(folder);
        let mut files = Self::default();
        for (path, text) in production(folder) {
            let below = path.strip_prefix(&base).expect("a file below its folder").with_extension("");
            let mut module: Module = below.iter().map(|part| part.to_string_lossy().into_owned()).collect();
            if matches!(module.last().map(String::as_str), Some("mod" | "lib" | "main")) {
                module.pop();
            }
            // A crate may have two roots, a library and a program.
            files.texts.entry(module).or_default().push_str(&uncommented(without_tests(&text)));
        }
        let modules: Vec<Module> = files.texts.keys().cloned().collect();
        for module in modules {
            for line in uses(&files.texts[&module]).into_iter().filter(|line| line.public) {
                let Some(target) = files.absolute(&module, &line.path) else { continue };
                let name = line.path.last().cloned().unwrap_or_default();
                files.exported.insert([module.clone(), vec![name]].concat(), target);
            }
        }
        files
    }

    /// The path from the crate's root of a path that a file names; none when it leads out of the crate.
    fn absolute(&self, module: &Module, path: &[String]) -> Option<Module> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => Some(rest.to_vec()),
            "self" => Some([module.clone(), rest.to_vec()].concat()),
            "super" => {
                let ups = path.iter().take_while(|part| *part == "super").count();
                let above = module.get(..module.len().checked_sub(ups)?)?;
                Some([above, &path[ups..]].concat())
            }
            _ => {
                let below = [module.clone(), vec![first.clone()]].concat();
                self.texts.contains_key(&below).then(|| [module.clone(), path.to_vec()].concat())
            }
        }
    }

    /// The file in which a path ends.
    fn file_of(&self, path: &Module) -> Module {
        let mut path = path.clone();
        // As many re-exports as a path could go through.
        for _ in 0..8 {
            let again = (0..=path.len()).rev().find_map(|end| {
                let target = self.exported.get(&path[..end])?;
                Some([target.clone(), path[end..].to_vec()].concat())
            });
            match again {
                Some(next) if next != path => path = next,
                _ => break,
            }
        }
        let ends = (0..=path.len()).rev().map(|end| path[..end].to_vec());
        ends.into_iter().find(|module| self.texts.contains_key(module)).unwrap_or_default()
    }

    /// Which files each file knows.
    fn arrows(&self) -> BTreeMap<Module, BTreeSet<Module>> {
        let mut arrows = BTreeMap::new();
        for (module, text) in &self.texts {
            let known = uses(text).into_iter().filter(|line| !line.public);
            let known = known.filter_map(|line| self.absolute(module, &line.path));
            let known: BTreeSet<Module> =
                known.map(|path| self.file_of(&path)).filter(|file| file != module).collect();
            arrows.insert(module.clone(), known);
        }
        arrows
    }
}

/// One path of a `use` line, or one that is written out in the code.
struct Use {
    public: bool,
    path: Vec<String>,
}

fn uncommented(text: &str) -> String {
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// What may stand before `use`.
fn is_visibility(text: &str) -> bool {
    text.is_empty() || text == "pub" || text.starts_with("pub(") && text.ends_with(')')
}

fn uses(text: &str) -> Vec<Use> {
    let mut found = Vec::new();
    let mut code = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some((before, first)) =
            line.split_once("use ").filter(|(before, _)| is_visibility(before.trim()))
        else {
            code.push_str(line);
            code.push('\n');
            continue;
        };
        let mut tree = first.to_owned();
        while !tree.contains(';') {
            let Some(more) = lines.next() else { break };
            tree.push_str(more);
        }
        let mut paths = Vec::new();
        expand(tree.split(';').next().unwrap_or_default().trim(), &[], &mut paths);
        let public = !before.trim().is_empty();
        found.extend(paths.into_iter().map(|path| Use { public, path }));
    }
    for start in ["crate::", "super::"] {
        for (at, _) in code.match_indices(start) {
            let is_part = |last: char| last.is_alphanumeric() || last == '_' || last == ':' || last == '$';
            if code[..at].ends_with(is_part) {
                continue;
            }
            let path = code[at..].split(|part: char| !(part.is_alphanumeric() || part == '_' || part == ':'));
            let path = path.into_iter().next().unwrap_or_default().trim_end_matches(':');
            found.push(Use { public: false, path: path.split("::").map(str::to_owned).collect() });
        }
    }
    found
}

/// The single paths of a `use` tree.
fn expand(tree: &str, before: &[String], paths: &mut Vec<Vec<String>>) {
    let parts = |text: &str| -> Vec<String> {
        text.split("::").map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
    };
    let Some(open) = tree.find('{') else {
        let path = tree.split(" as ").next().unwrap_or(tree);
        paths.push([before, &parts(path)].concat());
        return;
    };
    let before = [before, &parts(&tree[..open])].concat();
    // A line of a text in the code may begin like one of these.
    let Some(close) = tree.rfind('}').filter(|close| *close > open) else { return };
    let inner = &tree[open + 1..close];
    let (mut depth, mut start) = (0_i32, 0);
    for (at, letter) in inner.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand(inner[start..at].trim(), &before, paths);
                start = at + 1;
            }
            _ => {}
        }
    }
    if !inner[start..].trim().is_empty() {
        expand(inner[start..].trim(), &before, paths);
    }
}

/// Everything that a file knows, directly or through others.
fn reached(arrows: &BTreeMap<Module, BTreeSet<Module>>, from: &Module) -> BTreeSet<Module> {
    let mut seen = BTreeSet::new();
    let mut next: Vec<&Module> = arrows.get(from).into_iter().flatten().collect();
    while let Some(module) = next.pop() {
        if seen.insert(module.clone()) {
            next.extend(arrows.get(module).into_iter().flatten());
        }
    }
    seen
}

/// The circles of files of a crate.
fn circles(folder: &str) -> BTreeSet<Vec<String>> {
    let arrows = Files::read(folder).arrows();
    let all: BTreeMap<&Module, BTreeSet<Module>> =
        arrows.keys().map(|module| (module, reached(&arrows, module))).collect();
    let mut circles = BTreeSet::new();
    for (module, reached) in &all {
        if reached.contains(*module) {
            let circle =
                all.iter().filter(|(other, back)| reached.contains(**other) && back.contains(*module));
            circles.insert(circle.map(|(other, _)| other.join("/")).collect());
        }
    }
    circles
}

#[test]
fn no_crate_has_a_circle_of_files() {
    let mut crates = vec!["xtask/src".to_owned()];
    for folder in ["crates", "services"] {
        for entry in std::fs::read_dir(root().join(folder)).expect("a folder").flatten() {
            crates.push(format!("{folder}/{}/src", entry.file_name().to_string_lossy()));
        }
    }
    assert!(crates.len() > 10, "{crates:?}");
    for folder in crates {
        let circles = circles(&folder);
        assert!(circles.is_empty(), "{folder}: {circles:?}");
    }
}

#[test]
fn lower_rooms_of_service_kit_know_no_higher_ones() {
    let mut rooms = BTreeSet::new();
    for (module, known) in Files::read("crates/service-kit/src").arrows() {
        let Some(room) = module.first() else { continue };
        if OUTSIDE.contains(&room.as_str()) {
            continue;
        }
        let height = |room: &str| {
            ROOMS.iter().position(|other| *other == room).unwrap_or_else(|| panic!("{room} is no room"))
        };
        rooms.insert(room.clone());
        for other in known {
            let Some(above) = other.first() else { panic!("{module:?} knows the crate's root") };
            assert!(height(room) >= height(above), "{} knows {}", module.join("/"), other.join("/"));
        }
    }
    assert!(rooms.iter().map(String::as_str).eq(BTreeSet::from(ROOMS)), "{rooms:?}");
}

#[test]
fn every_folder_of_service_kit_says_what_goes_through_it() {
    for room in ROOMS {
        let file = root().join("crates/service-kit/src").join(room).join("mod.rs");
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        assert!(text.starts_with("//! "), "{} has no head comment", file.display());
    }
}

#[test]
fn use_lines_are_read_with_their_braces() {
    let text = "use a::{b::{self, C}, d};\npub(crate) use super::e;\nfn f() { crate::g::h(); }";
    let read: Vec<(bool, String)> =
        uses(text).into_iter().map(|line| (line.public, line.path.join("::"))).collect();
    let expected = [(false, "a::b::self"), (false, "a::b::C"), (false, "a::d"), (true, "super::e")];
    let mut expected: Vec<(bool, String)> =
        expected.into_iter().map(|(public, path)| (public, path.to_owned())).collect();
    expected.push((false, "crate::g::h".to_owned()));
    assert_eq!(read, expected);
}
