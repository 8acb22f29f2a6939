//! Bytes changed by chance.

use fastrand::Rng;

/// Bytes that mean something to a reader of JSON, or of UTF-8.
const BYTES: &[u8] =
    b"\"\\{}[],: \n\x00\x1f\x7f0123456789-+.eEtfnulrase/T\xff\xc3\xa9\xed\xa0\x80\xf0";

/// A record with some bytes changed, lost, doubled or moved.
pub fn changed(rng: &mut Rng, record: &[u8]) -> Vec<u8> {
    let mut bytes = record.to_vec();
    for _ in 0..rng.usize(1..=3) {
        if bytes.is_empty() {
            break;
        }
        let at = rng.usize(..bytes.len());
        match rng.u8(..8) {
            0 => drop(bytes.remove(at)),
            1 => bytes.insert(at, special(rng)),
            2 => set(&mut bytes, at, |byte| byte ^ (1 << rng.u8(..8))),
            3 => set(&mut bytes, at, |_| rng.u8(..)),
            4 => bytes.truncate(at.max(1)),
            5 => {
                let end = (at + rng.usize(..20)).min(bytes.len());
                let part = bytes.get(at..end).unwrap_or_default().to_vec();
                let to = rng.usize(..bytes.len());
                bytes.splice(to..to, part);
            }
            _ => set(&mut bytes, at, |_| special(rng)),
        }
    }
    bytes
}

fn special(rng: &mut Rng) -> u8 {
    rng.choice(BYTES).copied().unwrap_or_default()
}

fn set(bytes: &mut [u8], at: usize, to: impl FnOnce(u8) -> u8) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte = to(*byte);
    }
}
