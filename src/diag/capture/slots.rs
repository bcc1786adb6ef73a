//! The places into which threads copy themselves, and the signal handler that does it: the only unsafe
//! code, and with `runtime/counter.rs` the only atomics, of the product.
//!
//! A slot's word holds a generation and a phase. Asker: `FREE -> ASKED`, then the signal, whose value
//! names slot and generation. Handler: `ASKED -> COPYING` by compare-and-swap of exactly that generation,
//! copies, `COPYING -> DONE`. Asker: reads what is `DONE`, then `-> FREE` with the next generation; a slot
//! that is not answered in time goes `ASKED -> FREE` by compare-and-swap. So a handler that runs late
//! finds another word and writes nowhere.
//!
//! Where no signal can be queued (RLIMIT_SIGPENDING, or a filter that refuses the call), an ordinary one is
//! sent, which then comes without its value: the handler looks for the slot that was asked of its own thread.
//!
//! The handler calls nothing but the copy and `gettid`, so it is async-signal-safe; it saves `errno`. Its
//! frame is small: alternate stacks have 8 KiB.
#![expect(
    clippy::disallowed_types,
    reason = "a signal handler can take no message"
)]
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};
use std::io;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// How many threads can be copying at once.
pub const SLOTS: usize = 32;

/// How much of a stack is copied.
pub const STACK_BYTES_MAX: usize = 64 * 1024;

/// No stack is larger: an address further from its upper end belongs to something else.
const STACK_SPAN_MAX: u64 = 1 << 30;

const FREE: u64 = 0;
const ASKED: u64 = 1;
const COPYING: u64 = 2;
const DONE: u64 = 3;

/// Instruction, stack and frame pointer, and the link register where there is one.
pub type Registers = [u64; 4];

#[repr(C, align(64))]
struct Slot {
    /// `generation << 2 | phase`
    word: AtomicU64,
    /// Of which thread it is asked; written before it is.
    tid: AtomicU32,
    regs: UnsafeCell<Registers>,
    len: UnsafeCell<usize>,
    stack: UnsafeCell<[u8; STACK_BYTES_MAX]>,
}

// SAFETY: the cells are written only by the handler that swapped ASKED for COPYING, and read only by the
// asker after it saw DONE (release/acquire through `word`); there is one asker at a time, as each holds the
// `Turn` while it asks.
unsafe impl Sync for Slot {}

static TABLE: [Slot; SLOTS] = [const {
    Slot {
        word: AtomicU64::new(0),
        tid: AtomicU32::new(0),
        regs: UnsafeCell::new([0; 4]),
        len: UnsafeCell::new(0),
        stack: UnsafeCell::new([0; STACK_BYTES_MAX]),
    }
}; SLOTS];

/// Upper end of the main thread's stack.
static MAIN_STACK_END: AtomicU64 = AtomicU64::new(0);

/// Whether somebody is asking.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The right to ask: one at a time has it.
#[derive(Debug)]
pub struct Turn(());

impl Turn {
    /// Takes it, unless another has it. Never waits.
    #[must_use]
    pub fn take() -> Option<Self> {
        TAKEN
            .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
            .then_some(Self(()))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        TAKEN.store(false, Ordering::Release);
    }
}

/// One asked slot.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    slot: usize,
    generation: u64,
}

/// How an asked slot stands.
#[derive(Debug)]
pub enum Answer {
    /// Not yet.
    Pending,
    /// The registers and the stack from the stack pointer up.
    Copied(Registers, &'static [u8]),
}

/// The signal by which threads are asked: of the highest, which nothing else uses.
fn signal() -> c_int {
    libc::SIGRTMAX() - 3
}

/// Where that cannot be queued: ignored by default, and nobody here uses what it was made for.
const ORDINARY: c_int = libc::SIGURG;

/// Installs the handler. `main_stack_end`: from /proc/self/maps.
///
/// # Errors
/// The system's.
pub fn install(main_stack_end: u64) -> io::Result<()> {
    MAIN_STACK_END.store(main_stack_end, Ordering::Relaxed);
    for signal in [signal(), ORDINARY] {
        // SAFETY: an all-zero sigaction is valid; the handler has the signature that SA_SIGINFO asks for
        // and lives as long as the process.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction =
                copy_myself as extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART | libc::SA_ONSTACK;
            libc::sigfillset(&raw mut action.sa_mask);
            if libc::sigaction(signal, &raw const action, ptr::null_mut()) != 0 {
                return Err(io::Error::last_os_error());
            }
        }
    }
    Ok(())
}

/// A free slot for this thread, if there is one.
#[must_use]
pub fn reserve(_: &Turn, tid: u32) -> Option<Ask> {
    TABLE.iter().enumerate().find_map(|(slot, s)| {
        let word = s.word.load(Ordering::Acquire);
        (word & 3 == FREE).then(|| {
            s.tid.store(tid, Ordering::Relaxed);
            s.word.store(word | ASKED, Ordering::Release);
            Ask {
                slot,
                generation: word >> 2,
            }
        })
    })
}

/// The kernel's `siginfo_t` as a queued signal carries it, 128 bytes on every 64-bit Linux.
#[repr(C)]
struct Queued {
    signo: c_int,
    errno: c_int,
    code: c_int,
    gap: c_int,
    pid: libc::pid_t,
    uid: libc::uid_t,
    value: u64,
    rest: [u64; 12],
}

/// Asks a thread of this process to copy itself into its slot.
///
/// # Errors
/// The system's: `ESRCH` for a thread that has ended.
pub fn send(ask: Ask, pid: u32, tid: u32) -> io::Result<()> {
    match queue(ask, pid, tid) {
        Err(e) if cannot_queue(&e) => send_ordinary(pid, tid, ORDINARY),
        result => result,
    }
}

/// No room for another queued signal; or a filter of system calls (seccomp) does not let this one through:
/// a thread of this same process cannot be forbidden by rights.
fn cannot_queue(e: &io::Error) -> bool {
    matches!(
        e.raw_os_error(),
        Some(libc::EAGAIN | libc::EPERM | libc::EACCES | libc::ENOSYS)
    )
}

/// Whether the calling thread can be asked; what is refused of it, in words, where another way is taken.
/// The slot that is named is asked of nobody, so the handler finds nothing to do.
///
/// # Errors
/// The system's words, where it refuses both ways.
pub fn try_out(pid: u32, tid: u32) -> io::Result<Option<String>> {
    let nobody = Ask {
        slot: SLOTS,
        generation: 0,
    };
    match queue(nobody, pid, tid) {
        Ok(()) => Ok(None),
        Err(e) if cannot_queue(&e) => {
            let refused = format!("rt_tgsigqueueinfo is refused ({e})");
            send_ordinary(pid, tid, ORDINARY).map_err(|other| {
                io::Error::new(
                    other.kind(),
                    format!("{refused}, and tgkill as well ({other})"),
                )
            })?;
            Ok(Some(refused))
        }
        Err(e) => Err(io::Error::new(
            e.kind(),
            format!("rt_tgsigqueueinfo is refused ({e})"),
        )),
    }
}

/// A queued signal, with its value.
fn queue(ask: Ask, pid: u32, tid: u32) -> io::Result<()> {
    let info = Queued {
        signo: signal(),
        errno: 0,
        code: libc::SI_QUEUE,
        gap: 0,
        pid: pid.cast_signed(),
        // SAFETY: getuid has no preconditions.
        uid: unsafe { libc::getuid() },
        value: (ask.generation << 8) | ask.slot as u64,
        rest: [0; 12],
    };
    // SAFETY: `info` has the size and layout that the kernel reads, and lives through the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_rt_tgsigqueueinfo,
            libc::c_long::from(pid),
            libc::c_long::from(tid),
            libc::c_long::from(signal()),
            &raw const info,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// A signal without a value.
fn send_ordinary(pid: u32, tid: u32, signal: c_int) -> io::Result<()> {
    // SAFETY: tgkill takes numbers only.
    let result = unsafe {
        libc::syscall(
            libc::SYS_tgkill,
            libc::c_long::from(pid),
            libc::c_long::from(tid),
            libc::c_long::from(signal),
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Whether a thread of this process is still there: signal 0 is sent to nobody. One that ends forgets the signals it has not heard.
#[must_use]
pub fn lives(pid: u32, tid: u32) -> bool {
    let sent = send_ordinary(pid, tid, 0);
    // Refused by a filter it tells nothing.
    !sent.is_err_and(|e| e.raw_os_error() == Some(libc::ESRCH))
}

/// Looks at a slot; what it gives is valid until [`release`].
#[must_use]
pub fn look(ask: Ask) -> Answer {
    let Some(slot) = TABLE.get(ask.slot) else {
        return Answer::Pending;
    };
    if slot.word.load(Ordering::Acquire) != (ask.generation << 2 | DONE) {
        return Answer::Pending;
    }
    // SAFETY: DONE was stored with release after the last write, and no handler writes before the slot
    // is asked anew, which only `release` and `reserve` by this same asker lead to. `len` is at most the
    // array's length.
    unsafe {
        let stack = slice_of(slot.stack.get(), *slot.len.get());
        Answer::Copied(*slot.regs.get(), stack)
    }
}

/// # Safety
/// `len` must be at most `STACK_BYTES_MAX` and nobody may write to the array while the slice is used.
unsafe fn slice_of(stack: *const [u8; STACK_BYTES_MAX], len: usize) -> &'static [u8] {
    // SAFETY: as the caller promises; the array is static.
    unsafe { std::slice::from_raw_parts(stack.cast::<u8>(), len.min(STACK_BYTES_MAX)) }
}

/// Gives a slot back, answered or not. One whose handler is in the middle of its copy stays taken until
/// [`sweep`].
pub fn release(ask: Ask) {
    let Some(slot) = TABLE.get(ask.slot) else {
        return;
    };
    let next = (ask.generation + 1) << 2 | FREE;
    for phase in [ASKED, DONE] {
        let now = ask.generation << 2 | phase;
        let swapped = slot
            .word
            .compare_exchange(now, next, Ordering::AcqRel, Ordering::Acquire);
        if swapped.is_ok() {
            return;
        }
    }
}

/// Gives back what handlers finished after they had been given up. For an asker that waits for no answer.
pub fn sweep(_: &Turn) {
    for (slot, s) in TABLE.iter().enumerate() {
        let generation = s.word.load(Ordering::Acquire) >> 2;
        release(Ask { slot, generation });
    }
}

/// The handler.
extern "C" fn copy_myself(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel gives valid pointers; errno is this thread's own. Reading the stack from the
    // interrupted stack pointer up to the stack's end stays inside its mapping. The slot is this
    // handler's alone between the two changes of its word.
    unsafe {
        let errno = *libc::__errno_location();
        let (info, context) = (&*info, &*context.cast::<libc::ucontext_t>());
        let meant = if signal == ORDINARY {
            asked_of(libc::syscall(libc::SYS_gettid) as u32)
        } else if info.si_code == libc::SI_QUEUE && info.si_pid() == libc::getpid() {
            let value = info.si_value().sival_ptr as u64;
            let slot = TABLE.get((value & 0xff) as usize);
            slot.map(|slot| (slot, (value >> 8) << 2 | ASKED))
        } else {
            None
        };
        if let Some((slot, asked)) = meant
            && slot
                .word
                .compare_exchange(
                    asked,
                    asked ^ ASKED ^ COPYING,
                    Ordering::AcqRel,
                    Ordering::Relaxed,
                )
                .is_ok()
        {
            let regs = registers(context);
            let len = stack_bytes(regs[1], &context.uc_stack);
            *slot.regs.get() = regs;
            *slot.len.get() = len;
            ptr::copy_nonoverlapping(regs[1] as *const u8, slot.stack.get().cast::<u8>(), len);
            slot.word.store(asked ^ ASKED ^ DONE, Ordering::Release);
        }
        *libc::__errno_location() = errno;
    }
}

/// The slot that is asked of this thread, and its word.
fn asked_of(tid: u32) -> Option<(&'static Slot, u64)> {
    TABLE.iter().find_map(|slot| {
        let word = slot.word.load(Ordering::Acquire);
        let meant = word & 3 == ASKED && slot.tid.load(Ordering::Relaxed) == tid;
        meant.then_some((slot, word))
    })
}

/// Ends the process at once: no destructor, no lock, no allocation, whatever its threads hold.
pub fn end_at_once(code: u8) -> ! {
    // SAFETY: _exit has no preconditions.
    unsafe { libc::_exit(c_int::from(code)) }
}

/// How many bytes from the stack pointer up belong to this thread's stack: the alternate one, where a
/// signal's handler was interrupted on it; else a thread's control block lies at the upper end, and the
/// thread pointer shows it.
fn stack_bytes(sp: u64, alternate: &libc::stack_t) -> usize {
    let low = alternate.ss_sp as u64;
    let other = low..low.saturating_add(alternate.ss_size as u64);
    let ends = if alternate.ss_flags & libc::SS_DISABLE == 0 && other.contains(&sp) {
        [other.end, 0]
    } else {
        [thread_pointer(), MAIN_STACK_END.load(Ordering::Relaxed)]
    };
    for end in ends {
        if let Some(span) = end.checked_sub(sp)
            && span <= STACK_SPAN_MAX
        {
            return usize::try_from(span).map_or(0, |n| n.min(STACK_BYTES_MAX));
        }
    }
    0
}

#[cfg(target_arch = "x86_64")]
fn registers(context: &libc::ucontext_t) -> Registers {
    let at = |register: c_int| {
        context.uc_mcontext.gregs[usize::try_from(register).unwrap_or(0)].cast_unsigned()
    };
    [at(libc::REG_RIP), at(libc::REG_RSP), at(libc::REG_RBP), 0]
}

#[cfg(target_arch = "x86_64")]
fn thread_pointer() -> u64 {
    let pointer: u64;
    // SAFETY: on x86-64 Linux the first word of the thread's control block is its own address.
    unsafe {
        std::arch::asm!("mov {}, fs:0", out(reg) pointer, options(nostack, pure, readonly));
    }
    pointer
}

#[cfg(target_arch = "aarch64")]
fn registers(context: &libc::ucontext_t) -> Registers {
    let m = &context.uc_mcontext;
    [m.pc, m.sp, m.regs[29], m.regs[30]]
}

#[cfg(target_arch = "aarch64")]
fn thread_pointer() -> u64 {
    let pointer: u64;
    // SAFETY: reading the thread pointer has no effect.
    unsafe {
        std::arch::asm!("mrs {}, tpidr_el0", out(reg) pointer, options(nostack, pure, nomem));
    }
    pointer
}
