//! Which program it is whose addresses were captured: the linker's build id and the file's path.

use std::fmt::{self, Write};
use std::io::BufReader;
use std::str::FromStr;

use object::{Object, ReadCache};

use crate::files::proc;

/// One build of the program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Build {
    /// In hexadecimal digits; empty where the linker gave none.
    pub id: String,
    /// The path that the program was started from.
    pub path: String,
}

impl Build {
    /// This process's.
    #[must_use]
    pub fn own() -> Self {
        let path = std::env::current_exe().unwrap_or_default();
        Self {
            id: own_id().unwrap_or_default(),
            path: path.to_string_lossy().into_owned(),
        }
    }
}

fn own_id() -> Option<String> {
    let cache = ReadCache::new(BufReader::new(proc::open("self/exe").ok()?));
    let file = object::File::parse(&cache).ok()?;
    let id = file.build_id().ok()??;
    Some(id.iter().fold(String::new(), |mut text, byte| {
        let _cannot_fail = write!(text, "{byte:02x}");
        text
    }))
}

/// `ID PATH`
impl fmt::Display for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.id, self.path)
    }
}

impl FromStr for Build {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (id, path) = text.split_once(' ').unwrap_or((text, ""));
        Ok(Self {
            id: id.to_owned(),
            path: path.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_read_as_it_is_printed() {
        for build in [
            Build::own(),
            Build::default(),
            Build {
                id: "ab01".into(),
                path: "/a b/c".into(),
            },
        ] {
            assert_eq!(build.to_string().parse(), Ok(build));
        }
    }
}
