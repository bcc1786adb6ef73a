//! From addresses in the server to functions, files and lines. The server's binary is this program's own and is
//! read through [`OWN_BINARY`], so that names are had also when its file was deleted or replaced meanwhile;
//! libraries are mapped here as well, elsewhere.

use std::borrow::Cow;
use std::collections::HashMap;

use addr2line::{Loader, Location};

use super::dump::StackFrame;
use super::modules::{FileKey, Mapped, OWN_BINARY, OwnMaps};

/// The names in this program's own binary, read once.
#[derive(Default)]
pub struct Symbols {
    was_read: bool,
    own: Option<(FileKey, Loader)>,
}

impl std::fmt::Debug for Symbols {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Symbols")
            .field("was_read", &self.was_read)
            .finish_non_exhaustive()
    }
}

impl Symbols {
    fn read(&mut self, own: &OwnMaps) {
        if !std::mem::replace(&mut self.was_read, true) {
            let loader = Loader::new(OWN_BINARY).ok();
            self.own = own.binary().map(|m| m.key.clone()).zip(loader);
        }
    }

    /// The functions at an address of the file, the innermost inlined one first; none where nothing is known.
    fn frames(&self, module: &Mapped, looked_up: u64, address: u64) -> Vec<StackFrame> {
        let Some((_, loader)) = self.own.as_ref().filter(|(key, _)| *key == module.key) else {
            return Vec::new();
        };
        // What is looked up is the instruction before the one to return to.
        let probe = (looked_up - module.base).saturating_sub(1);
        // Tables of lines tell places and not always names.
        let symbol = || {
            let name = loader.find_symbol(probe)?;
            Some(addr2line::demangle_auto(name.into(), None).into_owned())
        };
        let frame = |function: String, place: Option<Location<'_>>| StackFrame {
            function,
            file: place
                .as_ref()
                .and_then(|l| l.file)
                .map(short_path)
                .unwrap_or_default(),
            line: place.and_then(|l| l.line).unwrap_or(0),
            address,
        };
        let mut frames = Vec::new();
        if let Ok(mut found) = loader.find_frames(probe) {
            while let Ok(Some(f)) = found.next() {
                let told = f.function.as_ref().and_then(|f| f.demangle().ok());
                let name = told.map(Cow::into_owned).or_else(symbol);
                frames.extend(name.map(|name| frame(name, f.location)));
            }
        }
        if frames.is_empty() {
            frames.extend(symbol().map(|name| frame(name, None)));
        }
        frames
    }
}

/// Names addresses of one process.
pub struct Namer<'a> {
    symbols: &'a Symbols,
    theirs: Vec<Mapped>,
    ours: &'a OwnMaps,
    known: HashMap<u64, Vec<StackFrame>>,
}

impl<'a> Namer<'a> {
    /// `theirs`: where the files lie in the other process; `ours`: where in this one.
    #[must_use]
    pub fn new(theirs: Vec<Mapped>, ours: &'a OwnMaps, symbols: &'a mut Symbols) -> Self {
        symbols.read(ours);
        Self {
            symbols,
            theirs,
            ours,
            known: HashMap::new(),
        }
    }

    /// The functions at an address, the innermost inlined one first; at least one frame. `interrupted`:
    /// the address is that of an instruction and not one to return to.
    pub fn name(&mut self, address: u64, interrupted: bool) -> Vec<StackFrame> {
        // Looked up is the instruction before the given one, so the interrupted one is moved up.
        let looked_up = address + u64::from(interrupted);
        if let Some(known) = self.known.get(&looked_up) {
            return known.clone();
        }
        let module = self.theirs.iter().find(|m| m.range.contains(&address));
        let mut frames = module.map_or_else(Vec::new, |module| {
            self.symbols.frames(module, looked_up, address)
        });
        if frames.is_empty()
            && let Some(module) = module
            && let Some(mine) = self.ours.0.iter().find(|m| m.key == module.key)
            && let Ok(here) = usize::try_from(looked_up - module.base + mine.base)
        {
            backtrace::resolve(std::ptr::with_exposed_provenance_mut(here), |symbol| {
                let Some(name) = symbol.name() else { return };
                frames.push(StackFrame {
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
            frames.push(StackFrame {
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
            (
                "/build/tapewarden/src/cache/thread.rs",
                "src/cache/thread.rs",
            ),
            ("src/cache/thread.rs", "src/cache/thread.rs"),
        ] {
            assert_eq!(short_path(long), short);
        }
    }
}
