//! From captured bytes to a dump: threads with their frames, and what the watchdog knows.

use std::collections::BTreeMap;

use crate::diag::capture::Build;
use crate::diag::capture::raw::{self, ThreadFacts, sections};
use crate::json;

use super::classify;
use super::descriptors::Descriptors;
use super::dump::{Dump, ReportContext, StackFrame, ThreadDump};
use super::modules::{Files, Mapped, OwnMaps, parse_maps, without_deleted};
use super::names::{Namer, Symbols};
use super::syscalls;
use super::walk::{Walked, Walker};

#[derive(Default)]
struct Looks {
    facts: [Option<ThreadFacts>; 2],
    stacks: [Walked; 2],
    missing: String,
}

/// Reads captured bytes, and remembers what it had to read for that.
#[derive(Debug, Default)]
pub struct DumpReader {
    files: Files,
    symbols: Symbols,
}

impl DumpReader {
    /// Reads now what the first report would have to: the unwinding tables and the names of the program
    /// and its libraries.
    pub fn warm(&mut self) {
        let own = OwnMaps::read();
        let _read = Walker::new(&own.0, &mut self.files, &own);
        let here = Self::warm as fn(&mut Self) as usize as u64;
        let _named = Namer::new(own.0.clone(), &own, &mut self.symbols).name(here, true);
    }

    /// Of a process that is still there: its descriptors are named.
    #[must_use]
    pub fn read(&mut self, bytes: &[u8]) -> Dump {
        read_with(bytes, self, Descriptors::of)
    }

    /// Long after.
    #[must_use]
    pub fn read_later(&mut self, bytes: &[u8]) -> Dump {
        read_with(bytes, self, |_| Descriptors::unknown())
    }
}

fn read_with(
    bytes: &[u8],
    reader: &mut DumpReader,
    descriptors: impl Fn(u32) -> Descriptors,
) -> Dump {
    let own = OwnMaps::read();
    let process = Process::read(bytes);
    let context = process.context;
    let mut mapped = parse_maps(&process.maps);
    take_own_place(&mut mapped, &process.build, &own);
    let looks = looks(bytes, &mut Walker::new(&mapped, &mut reader.files, &own));
    let elapsed_ns = match process.times[..] {
        [first, second, ..] => second.saturating_sub(first),
        _ => 0,
    };
    let mut namer = Namer::new(mapped, &own, &mut reader.symbols);
    let descriptors = descriptors(context.pid);
    let mut threads: Vec<ThreadDump> = looks
        .into_iter()
        .map(|(tid, look)| thread(tid, look, &context, elapsed_ns, &mut namer, &descriptors))
        .collect();
    let rank = |t: &ThreadDump| match t.state() {
        "stalled" => 0,
        "busy" => 1,
        "" => 2,
        _ => 3,
    };
    threads.sort_by(|a, b| (rank(a), &a.name, a.tid).cmp(&(rank(b), &b.name, b.tid)));
    Dump {
        no_stacks: if threads.is_empty() {
            "no stacks were captured; what threads say of themselves is below".to_owned()
        } else {
            String::new()
        },
        context,
        build: process.build.id,
        dump: threads,
        took_us: process.took.first().copied().unwrap_or(0),
    }
}

/// The sections that belong to no thread.
#[derive(Default)]
struct Process {
    maps: String,
    build: Build,
    context: ReportContext,
    /// When each round began, in ns.
    times: Vec<u64>,
    /// How long each round took, in µs.
    took: Vec<u64>,
}

impl Process {
    fn read(bytes: &[u8]) -> Self {
        let mut process = Self::default();
        for section in sections(bytes) {
            let text = || String::from_utf8_lossy(section.bytes);
            let number = || word(section.bytes);
            match section.tag {
                raw::BUILD => {
                    let Ok(told) = text().parse();
                    process.build = told;
                }
                raw::MAPS => process.maps.push_str(&text()),
                raw::CONTEXT => {
                    process.context = json::own(section.bytes).unwrap_or_default();
                }
                raw::TIME => process.times.push(number()),
                raw::TOOK => process.took.push(number()),
                _ => {}
            }
        }
        process
    }
}

/// What was seen of each thread in the two rounds.
fn looks(bytes: &[u8], walker: &mut Walker) -> BTreeMap<u32, Looks> {
    let mut looks: BTreeMap<u32, Looks> = BTreeMap::new();
    for section in sections(bytes) {
        let round = usize::from(section.number == 2);
        match section.tag {
            raw::FACTS => {
                let look = looks.entry(section.tid).or_default();
                look.facts[round] = Some(ThreadFacts::parse(section.bytes));
            }
            raw::STACK if section.bytes.len() >= 32 => {
                let (registers, stack) = section.bytes.split_at(32);
                let mut words = registers.chunks_exact(8).map(word);
                let registers = [0; 4].map(|_: u64| words.next().unwrap_or_default());
                let look = looks.entry(section.tid).or_default();
                look.stacks[round] = walker.walk(registers, stack);
            }
            raw::MISSING => {
                looks.entry(section.tid).or_default().missing =
                    String::from_utf8_lossy(section.bytes).into_owned();
            }
            _ => {}
        }
    }
    looks
}

fn word(bytes: &[u8]) -> u64 {
    bytes.try_into().map(u64::from_le_bytes).unwrap_or_default()
}

/// The captured program is ours if the build is the same, wherever its file lay: a dump can be taken to
/// another machine, and a file can have been copied since.
fn take_own_place(mapped: &mut [Mapped], build: &Build, own: &OwnMaps) {
    if build.id.is_empty() || build.id != Build::own().id {
        return;
    }
    let theirs = mapped
        .iter_mut()
        .find(|m| without_deleted(&m.path) == without_deleted(&build.path));
    if let (Some(mine), Some(theirs)) = (own.binary(), theirs) {
        theirs.key = mine.key.clone();
        theirs.path = mine.path.clone();
    }
}

fn thread(
    tid: u32,
    look: Looks,
    context: &ReportContext,
    elapsed_ns: u64,
    namer: &mut Namer<'_>,
    descriptors: &Descriptors,
) -> ThreadDump {
    let [first, second] = look.stacks;
    let [early, late] = look.facts;
    let name = late.as_ref().or(early.as_ref()).map(|f| f.name.clone());
    let name = name.unwrap_or_default();
    let said = context.threads.iter().find(|s| s.is(tid, &name));
    let (pace, cpu_ns) = classify::pace(
        [early.as_ref(), late.as_ref()],
        [&first.addresses, &second.addresses],
        said.is_some_and(|s| s.state == "idle"),
        elapsed_ns,
    );
    let facts = late.or(early).unwrap_or_default();
    // The second look is nearer to the facts that are shown; the first is better than none.
    let walked = if second.addresses.is_empty() {
        first
    } else {
        second
    };
    let frames: Vec<StackFrame> = walked
        .addresses
        .iter()
        .enumerate()
        .flat_map(|(n, address)| namer.name(*address, n == 0))
        .collect();
    ThreadDump {
        tid,
        is_main: tid == context.pid,
        name,
        said: said.cloned(),
        pace,
        kernel_state: facts.state,
        waits: waits(&facts, descriptors),
        cpu_us: cpu_ns / 1_000,
        missing: if frames.is_empty() {
            look.missing
        } else {
            String::new()
        },
        frames,
        truncated: walked.truncated,
    }
}

/// Where the kernel holds a thread, in words.
fn waits(facts: &ThreadFacts, descriptors: &Descriptors) -> String {
    let call = match facts.syscall {
        None => String::new(),
        Some((number, args)) => match syscalls::name(number) {
            None => format!("system call {number}"),
            Some((name, false)) => name.to_owned(),
            Some((name, true)) => format!("{name} on {}", descriptors.words(args[0])),
        },
    };
    match (call.is_empty(), facts.wchan.is_empty()) {
        (false, false) => format!("{call}, in the kernel's {}", facts.wchan),
        (true, false) => format!("in the kernel's {}", facts.wchan),
        _ => call,
    }
}
