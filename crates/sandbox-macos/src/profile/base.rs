//! What every program on macOS needs before it can do anything, whatever the policy says.
//!
//! Nothing here reaches a file of the user, another user's process or the network. Services that
//! could do something on the command's behalf outside the sandbox (Apple Events, Launch Services'
//! `open`, the trust daemon with its own network access) are absent on purpose.

use super::sbpl::{Filter, Form, Operation, PathTerm, Regex, Rule, VnodeType};

/// The rules in front of everything that the policy decides.
pub(crate) fn rules() -> Vec<Form> {
    let mut forms = vec![
        Form::Comment("What no rule mentions is refused."),
        Rule::deny(&[Operation::Default], Vec::new()),
    ];
    forms.extend(services());
    forms.extend(kernel_variables());
    forms.extend(devices());
    forms
}

fn services() -> Vec<Form> {
    let names = MACH_SERVICES.iter().map(|name| Filter::GlobalName(name));
    vec![
        Form::Comment(
            "System services: logging, notifications, accounts, fonts, keychain lookups.",
        ),
        Rule::allow(&[Operation::MachLookup], names.collect()),
        Rule::allow(&[Operation::UserPreferenceRead], Vec::new()),
        Rule::allow(&[Operation::DistributedNotificationPost], Vec::new()),
        Form::Comment("POSIX shared memory and semaphores, as Python's multiprocessing uses them."),
        Rule::allow(&[Operation::IpcPosixShm], Vec::new()),
        Rule::allow(&[Operation::IpcPosixSem], Vec::new()),
        Form::Comment("Drivers: surfaces of shared memory and the power state."),
        Rule::allow(
            &[Operation::IokitOpen],
            IOKIT_CLASSES
                .iter()
                .map(|class| Filter::IokitClass(class))
                .collect(),
        ),
        Rule::allow(&[Operation::IokitGetProperties], Vec::new()),
        Form::Comment("Control sockets of the kernel, which libraries use to look at interfaces."),
        Rule::allow(
            &[Operation::SystemSocket],
            vec![Filter::KernelControlSocket],
        ),
    ]
}

fn kernel_variables() -> Vec<Form> {
    let names = SYSCTL_NAMES.iter().map(|name| Filter::SysctlName(name));
    let prefixes = SYSCTL_PREFIXES
        .iter()
        .map(|name| Filter::SysctlPrefix(name));
    vec![
        Form::Comment("Kernel variables: the processor, the release, limits, the process list."),
        Rule::allow(&[Operation::SysctlRead], names.chain(prefixes).collect()),
        Form::Comment("V8 asks the processor for a memory ordering of its own."),
        Rule::allow(
            &[Operation::SysctlWrite],
            vec![Filter::SysctlName("kern.tcsm_enable")],
        ),
    ]
}

fn devices() -> Vec<Form> {
    let devices = || {
        IOCTL_DEVICES
            .iter()
            .map(|path| Filter::Literal(PathTerm::Fixed(path)))
    };
    let terminals = || Filter::Regex(Regex(TERMINALS.to_owned()));
    let writable = WRITABLE_DEVICES
        .iter()
        .map(|path| Filter::Literal(PathTerm::Fixed(path)).of_type(VnodeType::CharacterDevice));
    vec![
        Form::Comment(
            "Devices. Terminals may be asked and set, so that line editors and job control work,\n\
             but no program may type into one.",
        ),
        Rule::allow(
            &[Operation::FileIoctl],
            devices().chain([terminals()]).collect(),
        ),
        Rule::deny(&[Operation::FileIoctl], vec![Filter::TerminalInjection]),
        Rule::allow(&[Operation::FileWrite], writable.collect()),
        Form::Comment("Descriptors that are open already, by their names."),
        Rule::allow(
            &[Operation::FileWrite],
            vec![
                Filter::Literal(PathTerm::Fixed("/dev/stdout")),
                Filter::Literal(PathTerm::Fixed("/dev/stderr")),
                Filter::Subpath(PathTerm::Fixed("/dev/fd")),
            ],
        ),
    ]
}

/// Terminals by their own names. `/dev/tty` is the caller's own; another one may be another
/// session's, whose keystrokes are nobody else's business.
pub(crate) const TERMINALS: &str = "^/dev/ttys[0-9]+$";

const IOCTL_DEVICES: &[&str] = &[
    "/dev/dtracehelper",
    "/dev/null",
    "/dev/random",
    "/dev/tty",
    "/dev/urandom",
    "/dev/zero",
];

const WRITABLE_DEVICES: &[&str] = &[
    "/dev/autofs_nowait",
    "/dev/dtracehelper",
    "/dev/null",
    "/dev/tty",
    "/dev/zero",
];

const IOKIT_CLASSES: &[&str] = &[
    "IOSurfaceRootUserClient",
    "IOSurfaceSendRight",
    "RootDomainUserClient",
];

const MACH_SERVICES: &[&str] = &[
    "com.apple.FontObjectsServer",
    "com.apple.PowerManagement.control",
    "com.apple.SecurityServer",
    "com.apple.audio.systemsoundserver",
    "com.apple.bsd.dirhelper",
    "com.apple.coreservices.launchservicesd",
    "com.apple.distributed_notifications@Uv3",
    "com.apple.fonts",
    "com.apple.logd",
    "com.apple.lsd.mapdb",
    "com.apple.securityd.xpc",
    "com.apple.system.logger",
    "com.apple.system.notification_center",
    "com.apple.system.opendirectoryd.libinfo",
    "com.apple.system.opendirectoryd.membership",
];

const SYSCTL_NAMES: &[&str] = &[
    "hw.activecpu",
    "hw.busfrequency_compat",
    "hw.byteorder",
    "hw.cacheconfig",
    "hw.cachelinesize_compat",
    "hw.cpufamily",
    "hw.cpufrequency",
    "hw.cpufrequency_compat",
    "hw.cputype",
    "hw.l1dcachesize_compat",
    "hw.l1icachesize_compat",
    "hw.l2cachesize_compat",
    "hw.l3cachesize_compat",
    "hw.logicalcpu",
    "hw.logicalcpu_max",
    "hw.machine",
    "hw.memsize",
    "hw.ncpu",
    "hw.nperflevels",
    "hw.packages",
    "hw.pagesize",
    "hw.pagesize_compat",
    "hw.physicalcpu",
    "hw.physicalcpu_max",
    "hw.tbfrequency_compat",
    "hw.vectorunit",
    "kern.argmax",
    "kern.bootargs",
    "kern.hostname",
    "kern.maxfiles",
    "kern.maxfilesperproc",
    "kern.maxproc",
    "kern.ngroups",
    "kern.osproductversion",
    "kern.osrelease",
    "kern.ostype",
    "kern.osvariant_status",
    "kern.osversion",
    "kern.secure_kernel",
    "kern.tcsm_available",
    "kern.tcsm_enable",
    "kern.usrstack64",
    "kern.version",
    "kern.willshutdown",
    "machdep.cpu.brand_string",
    "machdep.ptrauth_enabled",
    "security.mac.lockdown_mode_state",
    "sysctl.proc_cputype",
    "vm.loadavg",
];

const SYSCTL_PREFIXES: &[&str] = &[
    "hw.optional.arm",
    "hw.optional.armv8_",
    "hw.perflevel",
    "kern.proc.all",
    "kern.proc.pgrp.",
    "kern.proc.pid.",
    "machdep.cpu.",
    "net.routetable",
];
