//! The files whose code is mapped: where each lies in the server, where in the symbolizer, and how its
//! stacks are unwound.

use std::collections::HashMap;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use framehop::{ExplicitModuleSectionInfo, Module};
use object::{Object, ObjectSection, ReadCache};

use crate::files::{proc, regular};

/// Code that the kernel maps into every process: reading a clock runs there.
const VDSO: &str = "[vdso]";

/// Files that are remembered; a process that maps ever new ones begins anew.
const FILES_MAX: usize = 256;

/// A mapped file, by device and inode: the same for two processes also when it was replaced or deleted.
pub type FileKey = (String, u64);

/// One mapped file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// Device and inode.
    pub key: FileKey,
    /// Its path.
    pub path: String,
    /// From its first to its last mapped byte.
    pub range: Range<u64>,
    /// Where its beginning would lie.
    pub base: u64,
}

/// The mapped files in the text of a `maps` file that have code. Who names addresses maps the files whole
/// once more, to read them: those mappings have no code and are left out.
#[must_use]
pub fn parse_maps(text: &str) -> Vec<Mapped> {
    let mut found: Vec<(Mapped, bool)> = Vec::new();
    let mut offset_before = 0;
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(range), Some(rights), Some(offset), Some(device), Some(inode)) = (
            words.next(),
            words.next(),
            words.next(),
            words.next(),
            words.next(),
        ) else {
            continue;
        };
        let hex = |t: &str| u64::from_str_radix(t, 16).ok();
        let Some((start, end)) = range
            .split_once('-')
            .and_then(|(a, b)| Some((hex(a)?, hex(b)?)))
        else {
            continue;
        };
        let (Some(offset), Ok(inode)) = (hex(offset), inode.parse::<u64>()) else {
            continue;
        };
        let path = words.collect::<Vec<_>>().join(" ");
        if inode == 0 && path != VDSO {
            continue;
        }
        let key = (device.to_owned(), inode);
        let code = rights.contains('x');
        match found.last_mut() {
            // The parts of one mapping follow each other, upwards in the file too.
            Some((m, has_code)) if m.key == key && offset > 0 && offset >= offset_before => {
                m.range.end = end;
                *has_code |= code;
            }
            _ => {
                let (range, base) = (start..end, start.saturating_sub(offset));
                found.push((
                    Mapped {
                        key,
                        path,
                        range,
                        base,
                    },
                    code,
                ));
            }
        }
        offset_before = offset;
    }
    let with_code = found.into_iter().filter(|(_, code)| *code);
    with_code.map(|(mapped, _)| mapped).collect()
}

/// What the kernel puts behind the path of a file that is no longer there, or is another by now.
const DELETED: &str = " (deleted)";

/// A path without that.
#[must_use]
pub fn without_deleted(path: &str) -> &str {
    path.strip_suffix(DELETED).unwrap_or(path)
}

/// The running binary, wherever its file is by now.
pub const OWN_BINARY: &str = "/proc/self/exe";

/// The files whose code is mapped in this process, read once for a report.
#[derive(Debug, Default)]
pub struct OwnMaps(pub Vec<Mapped>);

impl OwnMaps {
    /// As they are now.
    #[must_use]
    pub fn read() -> Self {
        let maps = proc::read("self/maps").unwrap_or_default();
        Self(parse_maps(&maps))
    }

    /// Which of them this program itself is.
    #[must_use]
    pub fn binary(&self) -> Option<&Mapped> {
        let here = Self::read as fn() -> Self as usize as u64;
        self.0.iter().find(|m| m.range.contains(&here))
    }
}

/// What the unwinder needs of a file.
type Sections = ExplicitModuleSectionInfo<Arc<[u8]>>;

/// What was read of files, for the next report.
#[derive(Debug, Default)]
pub struct Files(HashMap<FileKey, Option<Sections>>);

impl Files {
    /// A mapped file for the unwinder; none if it cannot be read.
    pub fn module(&mut self, mapped: &Mapped, own: &OwnMaps) -> Option<Module<Arc<[u8]>>> {
        if self.0.len() >= FILES_MAX {
            self.0.clear();
        }
        let known = self.0.entry(mapped.key.clone());
        let sections = known.or_insert_with(|| read(mapped, own)).clone()?;
        Some(Module::new(
            mapped.path.clone(),
            mapped.range.clone(),
            mapped.base,
            sections,
        ))
    }
}

/// The server's binary is the symbolizer's own, also where its file was deleted or replaced. Of a library that
/// was, nothing can be read any more.
fn read(mapped: &Mapped, own: &OwnMaps) -> Option<Sections> {
    if mapped.path == VDSO {
        let bytes = vdso(own)?;
        return Some(sections(&object::File::parse(&*bytes).ok()?));
    }
    let path = if own.binary().is_some_and(|own| own.key == mapped.key) {
        OWN_BINARY
    } else {
        &mapped.path
    };
    let (file, _) = regular::open(Path::new(path)).ok()?;
    let cache = ReadCache::new(BufReader::new(file));
    Some(sections(&object::File::parse(&cache).ok()?))
}

/// The kernel gives every process the same.
fn vdso(own: &OwnMaps) -> Option<Vec<u8>> {
    let own = own.0.iter().find(|m| m.path == VDSO)?;
    let mut memory = proc::open("self/mem").ok()?;
    memory.seek(SeekFrom::Start(own.range.start)).ok()?;
    let mut bytes = vec![0; usize::try_from(own.range.end - own.range.start).ok()?];
    memory.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

fn sections<'a>(object: &impl Object<'a>) -> Sections {
    let section = |name: &str| object.section_by_name(name);
    let range = |name: &str| section(name).map(|s| s.address()..s.address() + s.size());
    let data =
        |name: &str| section(name).and_then(|s| Some(Arc::from(s.uncompressed_data().ok()?)));
    Sections {
        base_svma: 0,
        text_svma: range(".text"),
        text: data(".text"),
        got_svma: range(".got"),
        eh_frame_svma: range(".eh_frame"),
        eh_frame: data(".eh_frame"),
        eh_frame_hdr_svma: range(".eh_frame_hdr"),
        eh_frame_hdr: data(".eh_frame_hdr"),
        ..Sections::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_files_with_code_are_found_whole_and_where_their_code_is() {
        let text = "\
4400-4500 r--p 00000000 fe:01 42 /bin/a b
4500-4600 r--p 00000000 fe:01 42 /bin/a b
55d0-55e0 r--p 00000000 fe:01 42 /bin/a b
55e0-55f0 r-xp 00000010 fe:01 42 /bin/a b
55f0-5600 rw-p 00000020 fe:01 42 /bin/a b
5600-5700 rw-p 00000000 00:00 0
5700-5710 rw-p 00000040 fe:01 42 /bin/a b
7e00-7f00 r--p 00000000 fe:01 42 /bin/a b
7f00-7f10 r--p 00000000 fe:01 43 /lib/data
7ffc-7ffd rw-p 00000000 00:00 0 [stack]
nonsense
";
        assert_eq!(
            parse_maps(text),
            [Mapped {
                key: ("fe:01".into(), 42),
                path: "/bin/a b".into(),
                range: 0x55d0..0x5710,
                base: 0x55d0,
            }]
        );
    }
}
