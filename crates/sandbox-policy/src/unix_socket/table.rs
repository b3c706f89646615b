//! Sockets of services that do what they are asked, with more rights than the sandbox has: where
//! they are and what whoever connects can do. Agents that use keys for whoever asks are among them.

use super::PowerfulSocket;

const CONTAINERS: &str =
    "whoever connects to it can start a container with all of the host's files, as root";
const MACHINES: &str = "whoever connects to it can start a machine with all of the host's files";
const COMMANDS: &str = "whoever connects to it can have commands run outside of the sandbox";
const WINDOWS: &str = "whoever connects to it can read every key and type into every window";
const KEYS: &str =
    "whoever connects to it can sign with every key that it holds, and so log in elsewhere as you";
const SECRETS: &str = "whoever connects to it can ask for the secrets that it keeps";
const PRINTING: &str = "whoever connects to it can change how the host prints, as root";

/// Sockets of services that do what they are asked, with more rights than the sandbox has.
pub const POWERFUL_SOCKETS: &[PowerfulSocket] = &[
    row(
        CONTAINERS,
        &[
            "docker.sock",
            "docker.raw.sock",
            "/run/docker.sock",
            "/run/docker/docker.sock",
            "/run/docker/metrics.sock",
            "/run/user/*/docker.sock",
            "/run/user/*/docker/docker.sock",
            "~/.docker/run/docker.sock",
            "~/.docker/desktop/docker.sock",
            "~/.rd/docker.sock",
            "~/.colima/docker.sock",
            "~/.colima/*/docker.sock",
            "~/.config/colima/*/docker.sock",
            "~/.lima/*/sock/docker.sock",
            "~/.orbstack/run/docker.sock",
        ],
    ),
    row(
        CONTAINERS,
        &[
            "podman.sock",
            "podman-machine-*-api.sock",
            "/run/podman/podman.sock",
            "/run/user/*/podman/podman.sock",
            "~/.local/share/containers/podman/machine/*/podman.sock",
        ],
    ),
    row(
        CONTAINERS,
        &[
            "containerd.sock",
            "/run/containerd/containerd.sock",
            "/run/k3s/containerd/containerd.sock",
            "/run/user/*/containerd/containerd.sock",
            "~/.colima/*/containerd.sock",
        ],
    ),
    row(
        CONTAINERS,
        &[
            "cri-dockerd.sock",
            "/run/cri-dockerd.sock",
            "dockershim.sock",
            "/run/dockershim.sock",
            "crio.sock",
            "/run/crio/crio.sock",
            "buildkitd.sock",
            "/run/buildkit/buildkitd.sock",
            "/run/user/*/buildkit/buildkitd.sock",
            "lxd/unix.socket",
            "/var/lib/lxd/unix.socket",
            "/var/snap/lxd/common/lxd/unix.socket",
            "incus/unix.socket",
            "/var/lib/incus/unix.socket",
        ],
    ),
    row(
        MACHINES,
        &[
            "libvirt-sock",
            "/run/libvirt/libvirt-sock",
            "/run/user/*/libvirt/libvirt-sock",
            "virtqemud-sock",
            "/run/libvirt/virtqemud-sock",
            "/run/user/*/libvirt/virtqemud-sock",
            "multipass_socket",
            "/run/multipass_socket",
        ],
    ),
    // Package and service managers, and the buses that lead to them.
    row(
        COMMANDS,
        &[
            "snapd.socket",
            "/run/snapd.socket",
            "systemd/private",
            "/run/systemd/private",
            "/run/user/*/systemd/private",
            "system_bus_socket",
            "/run/dbus/system_bus_socket",
            "/run/user/*/bus",
            "/tmp/dbus-*",
        ],
    ),
    // tmux(1), screen(1), zellij.
    row(
        COMMANDS,
        &[
            "/tmp/tmux-*/*",
            "/run/tmux/*/*",
            "/run/user/*/tmux-*/*",
            "/run/screen/S-*/*",
            "/run/screens/S-*/*",
            "/tmp/screens/S-*/*",
            "/tmp/uscreens/S-*/*",
            "~/.screen/*",
            "/run/user/*/zellij/**",
            "/tmp/zellij-*/**",
        ],
    ),
    // Editors that evaluate what they are sent.
    row(
        COMMANDS,
        &[
            "/run/user/*/emacs/*",
            "/tmp/emacs*/*",
            "~/.emacs.d/server/*",
            "/run/user/*/nvim.*",
            "/tmp/nvim*",
            "/tmp/nvim*/**",
            "nvim.sock",
            "nvimsocket",
            "/run/user/*/vscode-ipc-*.sock",
            "/tmp/vscode-ipc-*.sock",
        ],
    ),
    // Terminals and window managers that take orders.
    row(
        COMMANDS,
        &[
            "/tmp/kitty*",
            "/tmp/mykitty*",
            "/run/user/*/kitty*",
            "kitty.sock",
            "/run/user/*/wezterm/*",
            "~/.local/share/wezterm/*",
            "/run/user/*/i3/*",
            "/run/user/*/sway-ipc.*",
            "/run/user/*/hypr/**",
        ],
    ),
    row(WINDOWS, &["/tmp/.X11-unix/X*"]),
    // ssh-agent(1) and those that play it.
    row(
        KEYS,
        &[
            "/tmp/ssh-*/agent.*",
            "~/.ssh/agent/*",
            "/run/user/*/ssh-agent*",
            "/run/user/*/openssh_agent",
            "/run/user/*/keyring/ssh",
            "/run/user/*/keyring/.ssh",
            "/run/user/*/gcr/*",
            "/tmp/com.apple.launchd.*/Listeners",
            "/run/com.apple.launchd.*/Listeners",
            "ssh-agent.sock",
            "ssh-agent.socket",
            "~/.1password/agent.sock",
            "~/Library/Group Containers/*/t/agent.sock",
            "~/.bitwarden-ssh-agent.sock",
        ],
    ),
    // gpg-agent(1), with its restricted and its ssh sockets, and scdaemon(1).
    row(
        KEYS,
        &[
            "S.gpg-agent",
            "S.gpg-agent.*",
            "S.scdaemon",
            "/run/user/*/gnupg/**",
            "~/.gnupg/S.*",
        ],
    ),
    row(
        SECRETS,
        &[
            "/run/user/*/keyring/*",
            "~/.cache/keyring-*/*",
            "/run/user/*/kwallet*.socket",
            "/run/user/*/org.keepassxc.KeePassXC.BrowserServer",
            "/run/user/*/app/org.keepassxc.KeePassXC/*",
        ],
    ),
    row(PRINTING, &["cups.sock", "/run/cups/cups.sock"]),
];

const fn row(consequence: &'static str, places: &'static [&'static str]) -> PowerfulSocket {
    PowerfulSocket {
        places,
        consequence,
    }
}
