//! The captured bytes, read. Pure, and distrustful: the file may end anywhere.

/// Length of a section's header.
pub const HEADER_BYTES: usize = 16;

/// Which program it is, as [`super::Build`] prints it.
pub const BUILD: [u8; 4] = *b"BLDI";
/// Text of /proc/self/maps, in one or more sections.
pub const MAPS: [u8; 4] = *b"MAPS";
/// What the kernel says of a thread: texts, each ended by a zero byte.
pub const FACTS: [u8; 4] = *b"FACT";
/// Four registers and the stack.
pub const STACK: [u8; 4] = *b"STCK";
/// Why a thread has no stack.
pub const MISSING: [u8; 4] = *b"MISS";
/// Monotonic time of a round's begin, in ns.
pub const TIME: [u8; 4] = *b"TIME";
/// How long a round took, in µs.
pub const TOOK: [u8; 4] = *b"TOOK";
/// What the watchdog knows, as JSON.
pub const CONTEXT: [u8; 4] = *b"CTXT";

/// One section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawSection<'a> {
    /// What it is.
    pub tag: [u8; 4],
    /// Whose, or 0.
    pub tid: u32,
    /// Which round.
    pub number: u32,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// All whole sections, in order.
pub fn sections(mut bytes: &[u8]) -> impl Iterator<Item = RawSection<'_>> {
    std::iter::from_fn(move || {
        let (header, rest) = bytes.split_at_checked(HEADER_BYTES)?;
        let word = |at: usize| Some(u32::from_le_bytes(header.get(at..at + 4)?.try_into().ok()?));
        let len = usize::try_from(word(8)?).ok()?;
        let (body, rest) = rest.split_at_checked(len)?;
        bytes = rest;
        Some(RawSection {
            tag: header[..4].try_into().ok()?,
            tid: word(4)?,
            number: word(12)?,
            bytes: body,
        })
    })
}

/// What the kernel said of a thread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThreadFacts {
    /// Its name.
    pub name: String,
    /// `R`unning, `S`leeping, `D`isk sleep …
    pub state: char,
    /// The kernel function in which it waits; empty where it does not or the kernel hides it.
    pub wchan: String,
    /// Number and arguments of its system call; none while it runs in user space.
    pub syscall: Option<(u64, [u64; 6])>,
    /// CPU time used, in ns.
    pub cpu_ns: u64,
    /// Time it waited for a processor while it could have run, in ns; a wait counts once it is over.
    pub queued_ns: u64,
}

impl ThreadFacts {
    /// From the five texts.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        let mut texts = bytes
            .split(|b| *b == 0)
            .map(|t| String::from_utf8_lossy(t).trim().to_owned());
        let mut next = || texts.next().unwrap_or_default();
        let (name, stat, wchan, syscall, schedstat) = (next(), next(), next(), next(), next());
        let mut times = schedstat.split(' ').map(|n| n.parse().unwrap_or(0));
        Self {
            name,
            // After the name in brackets, which may hold anything.
            state: stat
                .rsplit_once(") ")
                .and_then(|(_, rest)| rest.chars().next())
                .unwrap_or('?'),
            wchan: if wchan == "0" { String::new() } else { wchan },
            syscall: parse_syscall(&syscall),
            cpu_ns: times.next().unwrap_or(0),
            queued_ns: times.next().unwrap_or(0),
        }
    }
}

/// `0 0x3 0x7f… … sp pc`, or `running`, or `-1 sp pc`.
fn parse_syscall(text: &str) -> Option<(u64, [u64; 6])> {
    let mut words = text.split(' ');
    let number = words.next()?.parse().ok()?;
    let mut args = [0; 6];
    for arg in &mut args {
        let word = words.next()?.strip_prefix("0x")?;
        *arg = u64::from_str_radix(word, 16).ok()?;
    }
    Some((number, args))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_the_kernel_says_is_read() {
        let facts = ThreadFacts::parse(b"http-1\n\x00 7 (a) b) S 1 2\n\x00futex_wait\x0035 0x1 0x2 0x3 0x4 0x5 0x6 0x7 0x8\n\x00123 4 5\n\x00");
        assert_eq!(
            facts,
            ThreadFacts {
                name: "http-1".into(),
                state: 'S',
                wchan: "futex_wait".into(),
                syscall: Some((35, [1, 2, 3, 4, 5, 6])),
                cpu_ns: 123,
                queued_ns: 4,
            }
        );
        assert_eq!(ThreadFacts::parse(b"x\0\x00").syscall, None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            for section in sections(&bytes) {
                prop_assert!(section.bytes.len() <= bytes.len());
            }
            let _facts = ThreadFacts::parse(&bytes);
        }
    }
}
