//! File systems that are the kernel's own controls and not files of anybody's.

use rustix::fs::FsWord;

/// Their names, as proc_pid_mountinfo(5) has them, with their numbers (linux/magic.h, or the kernel's sources
/// of each). `/proc`, which decides by who opens a file, and `/dev` are treated apart.
pub(crate) const KERNEL_TREES: [(&str, FsWord); 19] = [
    ("binfmt_misc", 0x4249_4e4d),
    ("bpf", 0xcafe_4a11),
    ("cgroup", 0x0027_e0eb),
    ("cgroup2", 0x6367_7270),
    ("configfs", 0x6265_6570),
    ("cpuset", 0x0027_e0eb),
    ("debugfs", 0x6462_6720),
    ("efivarfs", 0xde5e_81e4),
    ("fusectl", 0x6573_5543),
    ("nfsd", 0x6e66_7364),
    ("nsfs", 0x6e73_6673),
    ("pstore", 0x6165_676c),
    ("resctrl", 0x0765_5821),
    ("rpc_pipefs", 0x6759_6969),
    ("securityfs", 0x7363_6673),
    ("selinuxfs", 0xf97c_ff8c),
    ("smackfs", 0x4341_5d53),
    ("sysfs", 0x6265_6572),
    ("tracefs", 0x7472_6163),
];

/// Another `/proc` than the sandbox's own.
pub(crate) const PROC: &str = "proc";

/// Another `/dev`: to the eye a tmpfs, with the number of one.
pub(crate) const DEVICES: &str = "devtmpfs";

/// Whether this is the number of such a file system, but for `/proc`.
pub(crate) fn is_one(number: FsWord) -> bool {
    KERNEL_TREES.iter().any(|(_, known)| *known == number)
}
