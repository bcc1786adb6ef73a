//! System calls in which threads are found, by their kernel's number. Pure.

/// A call's name, and whether its first argument is a descriptor.
#[must_use]
pub fn name(number: u64) -> Option<(&'static str, bool)> {
    TABLE
        .iter()
        .find(|(n, ..)| *n == number)
        .map(|(_, name, fd)| (*name, *fd))
}

/// Calls in which a thread waits for what others do, or for a time: those in which one without work stands.
const WAITS: [&str; 14] = [
    "read",
    "poll",
    "select",
    "nanosleep",
    "accept",
    "recvfrom",
    "recvmsg",
    "futex",
    "clock_nanosleep",
    "epoll_wait",
    "pselect6",
    "ppoll",
    "epoll_pwait",
    "accept4",
];

/// Whether it is one of [`WAITS`].
#[must_use]
pub fn waits_for_others(number: u64) -> bool {
    name(number).is_some_and(|(name, _)| WAITS.contains(&name))
}

/// Linux, x86-64: arch/x86/entry/syscalls/syscall_64.tbl.
#[cfg(target_arch = "x86_64")]
const TABLE: &[(u64, &str, bool)] = &[
    (0, "read", true),
    (1, "write", true),
    (7, "poll", false),
    (8, "lseek", true),
    (17, "pread64", true),
    (18, "pwrite64", true),
    (19, "readv", true),
    (20, "writev", true),
    (23, "select", false),
    (24, "sched_yield", false),
    (35, "nanosleep", false),
    (42, "connect", true),
    (43, "accept", true),
    (44, "sendto", true),
    (45, "recvfrom", true),
    (46, "sendmsg", true),
    (47, "recvmsg", true),
    (56, "clone", false),
    (58, "vfork", false),
    (61, "wait4", false),
    (72, "fcntl", true),
    (73, "flock", true),
    (74, "fsync", true),
    (75, "fdatasync", true),
    (202, "futex", false),
    (230, "clock_nanosleep", false),
    (232, "epoll_wait", true),
    (257, "openat", false),
    (270, "pselect6", false),
    (271, "ppoll", false),
    (281, "epoll_pwait", true),
    (288, "accept4", true),
    (435, "clone3", false),
];

/// Linux, AArch64: include/uapi/asm-generic/unistd.h.
#[cfg(not(target_arch = "x86_64"))]
const TABLE: &[(u64, &str, bool)] = &[
    (22, "epoll_pwait", true),
    (25, "fcntl", true),
    (32, "flock", true),
    (56, "openat", false),
    (63, "read", true),
    (64, "write", true),
    (65, "readv", true),
    (66, "writev", true),
    (72, "pselect6", false),
    (73, "ppoll", false),
    (82, "fsync", true),
    (83, "fdatasync", true),
    (98, "futex", false),
    (101, "nanosleep", false),
    (115, "clock_nanosleep", false),
    (202, "accept", true),
    (203, "connect", true),
    (206, "sendto", true),
    (207, "recvfrom", true),
    (211, "sendmsg", true),
    (212, "recvmsg", true),
    (220, "clone", false),
    (242, "accept4", true),
    (435, "clone3", false),
];
