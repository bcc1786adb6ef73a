//! Inputs that begin as good ones and are broken.

/// The longest input, in bytes.
pub const INPUT_MAX: usize = 64 * 1024;

/// xorshift64*, which is random enough to break things by.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.roll() >> 33).unwrap_or(0) % n.max(1)
    }
}

/// Pieces that parsers stumble over.
const PIECES: &[&[u8]] = &[
    b"\0",
    b"\xff\xfe",
    b"\r\n",
    b"\r\n\r\n",
    b"%",
    b"%zz",
    b"%00",
    b"..",
    b"/",
    b"\"",
    b"\\u0000",
    b"\\ud800",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"null",
    b"true",
    b"-1",
    b"1e999",
    b"-1e-999",
    b"99999999999999999999999999",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"NaN",
    b"-Infinity",
    b"1e400",
    b"'",
    b"\\",
    b"\xe9",
    b"\xff\xfe{\0\"\0",
    b"\xe2\x80\xa8",
    b"\xef\xbb\xbf",
    "é\u{202e}\u{1f600}".as_bytes(),
    b" ",
    b"\t",
    b"Content-Length: 18446744073709551616\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"[[[[[[[[[[[[[[[[",
    b"{\"a\":{\"a\":{\"a\":",
];

/// An example, broken once or several times.
pub fn broken(example: &[u8], others: &[&str], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = example.to_vec();
    for _ in 0..dice.below(6) {
        let at = dice.below(bytes.len() + 1);
        let end = (at + dice.below(16)).min(bytes.len());
        match dice.below(9) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            3 if at < bytes.len() => bytes[at] = u8::try_from(dice.below(256)).unwrap_or(0),
            4 => {
                let piece: Vec<u8> = bytes[at..end].to_vec();
                for _ in 0..=dice.below(64) {
                    bytes.splice(at..at, piece.iter().copied());
                }
            }
            5 => {
                let other = others[dice.below(others.len())].as_bytes();
                let from = dice.below(other.len());
                bytes.splice(at..end, other[from..].iter().copied());
            }
            6 if dice.below(50) == 0 => {
                // Deep or long beyond all measure.
                let piece = PIECES[dice.below(PIECES.len())];
                let many = piece.repeat(INPUT_MAX / 2 / piece.len());
                bytes.splice(at..at, many);
            }
            _ => {
                let piece = PIECES[dice.below(PIECES.len())];
                bytes.splice(at..at, piece.iter().copied());
            }
        }
        bytes.truncate(INPUT_MAX);
    }
    bytes
}
