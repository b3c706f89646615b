//! Tells `ssh` why it was refused.
//!
//! A SOCKS reply has no room for words, and an ssh client behind a SOCKS helper prints only that the
//! connection closed. So a refused connection to the ssh port is answered as a server would that
//! disconnects at once (RFC 4253 §4.2, §6, §11.1), and the client prints the reason. Nothing is
//! dialled.

use sandbox_policy::{Denial, Port};

use crate::explain::{phrase, plain_text};

/// Whether a refusal on this port is worth words.
pub(crate) fn speaks_ssh(port: Port) -> bool {
    port.get() == SSH_PORT
}

/// The identification line and an unencrypted disconnect message.
pub(crate) fn farewell(denial: &Denial) -> Vec<u8> {
    let mut message = plain_text(&format!(
        "connection to {} blocked by the sandbox: {}",
        denial.object,
        phrase(denial)
    ));
    while message.len() > LONGEST_MESSAGE {
        message.pop();
    }
    let mut payload = vec![DISCONNECT];
    payload.extend(HOST_NOT_ALLOWED_TO_CONNECT.to_be_bytes());
    push_string(&mut payload, message.as_bytes());
    push_string(&mut payload, b""); // Language tag.

    // RFC 4253 §6: at least four bytes of padding, and the whole packet a multiple of eight.
    let unpadded = LENGTH_BYTES + PADDING_LENGTH_BYTES + payload.len();
    let padding = (unpadded + SHORTEST_PADDING).next_multiple_of(BLOCK) - unpadded;
    let packet_length = PADDING_LENGTH_BYTES + payload.len() + padding;

    let mut bytes = b"SSH-2.0-policy_refusal\r\n".to_vec();
    bytes.extend(
        u32::try_from(packet_length)
            .unwrap_or(u32::MAX)
            .to_be_bytes(),
    );
    bytes.push(u8::try_from(padding).unwrap_or(u8::MAX));
    bytes.extend(payload);
    bytes.resize(bytes.len() + padding, 0);
    bytes
}

fn push_string(payload: &mut Vec<u8>, text: &[u8]) {
    payload.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
    payload.extend(text);
}

const SSH_PORT: u16 = 22;
/// `SSH_MSG_DISCONNECT` (RFC 4253 §12).
const DISCONNECT: u8 = 1;
/// `SSH_DISCONNECT_HOST_NOT_ALLOWED_TO_CONNECT` (RFC 4253 §11.1).
const HOST_NOT_ALLOWED_TO_CONNECT: u32 = 1;
const LENGTH_BYTES: usize = 4;
const PADDING_LENGTH_BYTES: usize = 1;
const SHORTEST_PADDING: usize = 4;
const BLOCK: usize = 8;
const LONGEST_MESSAGE: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authorize::malformed_host;

    #[test]
    fn the_packet_is_framed_as_the_protocol_wants() {
        for length in 0..40 {
            let denial = malformed_host("x".repeat(length).as_bytes());
            let bytes = farewell(&denial);
            let packet = bytes.strip_prefix(b"SSH-2.0-policy_refusal\r\n").unwrap();
            let packet_length = u32::from_be_bytes(packet[..4].try_into().unwrap());
            assert_eq!(usize::try_from(packet_length).unwrap(), packet.len() - 4);
            assert_eq!(packet.len() % 8, 0);
            let padding = usize::from(packet[4]);
            assert!((4..12).contains(&padding));
            assert_eq!(packet[5..10], [1, 0, 0, 0, 1]);
            let text = packet[14..]
                .strip_suffix(&vec![0; padding + 4][..])
                .unwrap();
            assert_eq!(
                u32::from_be_bytes(packet[10..14].try_into().unwrap()),
                u32::try_from(text.len()).unwrap()
            );
            assert!(text.ends_with(b"malformed host"));
        }
    }
}
