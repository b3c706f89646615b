//! Whether KVM works here. An openable `/dev/kvm` proves nothing: there are hosts that create a machine and then crawl
//! or abort in it. So the question is put by booting `true`, and the answer is cached.

use std::{fs, path::Path, time::Duration};

use anyhow::Result;

use super::{
    kernel::Kernel,
    machine::{Accel, GuestUser, Machine},
    payload::Payload,
};
use crate::shell::say;

/// KVM when a machine boots with it in reasonable time, emulation otherwise.
pub(crate) fn that_works(cache: &Path, kernel: &Kernel, root: &Path) -> Result<Accel> {
    let answer = cache.join("accel");
    match fs::read_to_string(&answer).as_deref().map(str::trim) {
        Ok("kvm") => return Ok(Accel::Kvm),
        Ok("tcg") => return Ok(Accel::Tcg),
        _ => {}
    }
    let works = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/kvm")
        .is_ok()
        && boots(kernel, root)?;
    let (accel, name) = if works {
        (Accel::Kvm, "kvm")
    } else {
        (Accel::Tcg, "tcg")
    };
    say(format!("machines run with {name}"));
    fs::write(&answer, format!("{name}\n"))?;
    Ok(accel)
}

fn boots(kernel: &Kernel, root: &Path) -> Result<bool> {
    let payload = Payload::shell_line("true")?;
    let (user, timeout) = (GuestUser::Tester, Duration::from_secs(20));
    let machine = Machine {
        kernel,
        root,
        payload: &payload,
        user,
        accel: Accel::Kvm,
        timeout,
    };
    Ok(machine.run(&mut |_| {}).is_ok_and(|status| status == 0))
}
