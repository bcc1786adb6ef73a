//! From addresses in the server to functions, files and lines: the same files are mapped here, elsewhere.

use std::collections::HashMap;

use super::modules::{Mapped, parse_maps};
use super::read::Frame;

/// Names addresses of one process.
pub struct Namer {
    theirs: Vec<Mapped>,
    ours: Vec<Mapped>,
    known: HashMap<u64, Vec<Frame>>,
}

impl Namer {
    /// `theirs`: where the files lie in the other process.
    #[must_use]
    pub fn new(theirs: Vec<Mapped>) -> Self {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
        Self {
            theirs,
            ours: parse_maps(&maps),
            known: HashMap::new(),
        }
    }

    /// The functions at an address, the innermost inlined one first; at least one frame. `interrupted`:
    /// the address is that of an instruction and not one to return to.
    pub fn name(&mut self, address: u64, interrupted: bool) -> Vec<Frame> {
        // Looked up is the instruction before the given one, so the interrupted one is moved up.
        let looked_up = address + u64::from(interrupted);
        if let Some(known) = self.known.get(&looked_up) {
            return known.clone();
        }
        let module = self.theirs.iter().find(|m| m.range.contains(&address));
        let mut frames = Vec::new();
        if let Some(module) = module
            && let Some(mine) = self.ours.iter().find(|m| m.key == module.key)
            && let Ok(here) = usize::try_from(looked_up - module.base + mine.base)
        {
            backtrace::resolve(std::ptr::with_exposed_provenance_mut(here), |symbol| {
                let Some(name) = symbol.name() else { return };
                frames.push(Frame {
                    function: format!("{name:#}"),
                    file: symbol
                        .filename()
                        .map(|f| short_path(&f.to_string_lossy()))
                        .unwrap_or_default(),
                    line: symbol.lineno().unwrap_or(0),
                    address,
                });
            });
        }
        if frames.is_empty() {
            let function = module.map_or_else(
                || "?".to_owned(),
                |m| {
                    let file = m.path.rsplit('/').next().unwrap_or(&m.path);
                    format!("{file}+{:#x}", address - m.base)
                },
            );
            frames.push(Frame {
                function,
                file: String::new(),
                line: 0,
                address,
            });
        }
        self.known.insert(looked_up, frames.clone());
        frames
    }
}

/// A source file without the folders that differ from machine to machine.
fn short_path(path: &str) -> String {
    if let Some((_, rest)) = path.split_once("/registry/src/") {
        return rest.split_once('/').map_or(rest, |(_, r)| r).to_owned();
    }
    if let Some(at) = path.find("/library/") {
        return path[at + 1..].to_owned();
    }
    path.rsplit_once("/src/")
        .filter(|(before, _)| !before.contains("/rustc/"))
        .map_or_else(|| path.to_owned(), |(_, rest)| format!("src/{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lose_what_belongs_to_a_machine() {
        for (long, short) in [
            (
                "/home/x/.cargo/registry/src/index-1/ureq-3.0/src/run.rs",
                "ureq-3.0/src/run.rs",
            ),
            (
                "/rustc/abc/library/std/src/thread/mod.rs",
                "library/std/src/thread/mod.rs",
            ),
            ("/build/tapewarden/src/desk/thread.rs", "src/desk/thread.rs"),
            ("src/desk/thread.rs", "src/desk/thread.rs"),
        ] {
            assert_eq!(short_path(long), short);
        }
    }
}
