//! Devices of the host that a command may use.

use crate::origin::Origin;
use crate::path::AbsolutePath;
use crate::preset::PresetPath;

/// Opens a device, or a directory of devices, besides those that every sandbox has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRule {
    /// Its path, below `/dev`.
    pub path: AbsolutePath,
    /// Whether nothing is said where the host has no such device: rows of a preset.
    pub optional: bool,
    /// Where it was written.
    pub origin: Origin,
}

impl DeviceRule {
    /// A path below `/dev`; `None` for any other.
    #[must_use]
    pub fn path(text: &str) -> Option<AbsolutePath> {
        let path = AbsolutePath::new(text).ok()?;
        let directory = AbsolutePath::from_clean("/dev");
        (path != directory && path.is_within(&directory)).then_some(path)
    }
}

/// The `gpu` preset: devices for graphics and computing.
#[must_use]
pub fn gpu(origin: &Origin) -> Vec<DeviceRule> {
    let rule = |row: &PresetPath| DeviceRule {
        path: AbsolutePath::from_clean(row.path),
        optional: true,
        origin: origin.clone(),
    };
    GPU_DEVICES.iter().map(rule).collect()
}

const fn row(path: &'static str, reason: &'static str) -> PresetPath {
    PresetPath { path, reason }
}

/// Devices for graphics and computing.
pub const GPU_DEVICES: &[PresetPath] = &[
    row("/dev/dri", "graphics cards of all drivers of the kernel"),
    row("/dev/kfd", "AMD: computing"),
    row("/dev/accel", "accelerators of all drivers of the kernel"),
    row("/dev/dxg", "graphics cards of the Windows host (WSL)"),
    row("/dev/mali0", "ARM: graphics"),
    row("/dev/nvidiactl", "NVIDIA: control"),
    row("/dev/nvidia-uvm", "NVIDIA: memory"),
    row("/dev/nvidia-uvm-tools", "NVIDIA: memory"),
    row("/dev/nvidia-modeset", "NVIDIA: displays"),
    row("/dev/nvidia-caps", "NVIDIA: parts of cards"),
    row("/dev/nvidia0", "NVIDIA: a card"),
    row("/dev/nvidia1", "NVIDIA: a card"),
    row("/dev/nvidia2", "NVIDIA: a card"),
    row("/dev/nvidia3", "NVIDIA: a card"),
    row("/dev/nvidia4", "NVIDIA: a card"),
    row("/dev/nvidia5", "NVIDIA: a card"),
    row("/dev/nvidia6", "NVIDIA: a card"),
    row("/dev/nvidia7", "NVIDIA: a card"),
];
