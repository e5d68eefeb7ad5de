//! Damaged files and a plain reference reader, for tests. `TRIEVAL_MUTATIONS` sets the number of files of each kind.

/// Files of each kind; `usually` where nobody says.
pub(super) fn mutations(usually: usize) -> usize {
    std::env::var("TRIEVAL_MUTATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(usually)
}

/// Draws numbers below a bound.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, n: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }
}

/// A text with some of its bytes replaced, taken out, or put in.
pub(super) fn damaged(text: &[u8], pieces: &[&[u8]], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = text.to_vec();
    for _ in 0..=dice.below(4) {
        let at = dice.below(bytes.len() + 1);
        let end = (at + dice.below(3)).min(bytes.len());
        let piece = pieces[dice.below(pieces.len())];
        bytes.splice(at..end, piece.iter().copied());
    }
    bytes
}

/// RFC 4180, read byte by byte: sound records of `n_fields` fields. A record with text behind a closing mark, or a mark that
/// never closes, is left out whole.
pub(super) fn reference_csv(bytes: &[u8], n_fields: usize) -> Vec<Vec<String>> {
    let mut records: Vec<(Vec<Vec<u8>>, bool)> = Vec::new();
    let (mut fields, mut field, mut sound) = (Vec::new(), Vec::new(), true);
    let mut at = 0;
    let mut is_empty = true;
    while at < bytes.len() {
        let byte = bytes[at];
        if field.is_empty()
            && byte == b'"'
            && (at == 0 || matches!(bytes[at - 1], b',' | b'\n' | b'\r'))
        {
            is_empty = false;
            at += 1;
            loop {
                match (bytes.get(at), bytes.get(at + 1)) {
                    (None, _) => {
                        sound = false;
                        break;
                    }
                    (Some(b'"'), Some(b'"')) => {
                        field.push(b'"');
                        at += 2;
                    }
                    (Some(b'"'), next) => {
                        at += 1;
                        sound &= matches!(next, None | Some(b',' | b'\n' | b'\r'));
                        break;
                    }
                    (Some(&byte), _) => {
                        field.push(byte);
                        at += 1;
                    }
                }
            }
            continue;
        }
        match byte {
            b',' => {
                is_empty = false;
                fields.push(std::mem::take(&mut field));
            }
            b'\n' | b'\r' => {
                if !is_empty {
                    fields.push(std::mem::take(&mut field));
                    records.push((std::mem::take(&mut fields), sound));
                }
                (sound, is_empty) = (true, true);
            }
            byte => {
                is_empty = false;
                field.push(byte);
            }
        }
        at += 1;
    }
    if !is_empty {
        fields.push(field);
        records.push((fields, sound));
    }
    let text = |field: &Vec<u8>| Some(std::str::from_utf8(field).ok()?.trim().to_owned());
    let row = |(fields, sound): &(Vec<Vec<u8>>, bool)| {
        let is_whole = *sound && fields.len() == n_fields;
        if is_whole { fields.iter().map(text).collect() } else { None }
    };
    // The first record is the header.
    records.iter().skip(1).filter_map(row).collect()
}
