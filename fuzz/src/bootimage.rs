//! The image that a kernel starts from.

use crate::Reached;
use ::bootimage::{Framework, Image, Init, Node, Part, Wanted, WantedFile, is_same_program, parts};

/// Takes the bytes as a whole image, and each of its archives.
pub fn bootimage(bytes: &[u8]) -> Reached {
    assert!(is_same_program(bytes, bytes) && (bytes.is_empty() || !is_same_program(bytes, b"")));
    let Ok(parts) = parts(bytes) else { return Reached::Nothing };
    // Zeros behind it belong to no part.
    let longer = [bytes, &[0; 8]].concat();
    assert_eq!(::bootimage::parts(&longer).map(|parts| parts.len()), Ok(parts.len()));
    let archives: Vec<&[u8]> = parts
        .iter()
        .map(|part| match part {
            Part::Archive(bytes) | Part::Compressed(_, bytes) => *bytes,
        })
        .collect();
    assert!(archives.iter().map(|archive| archive.len()).sum::<usize>() <= bytes.len());
    let Ok(image) = Image::read(&archives) else { return Reached::Read };
    look(&image);
    Reached::Accepted
}

fn look(image: &Image<'_>) {
    for (path, node) in image.nodes() {
        let words: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
        assert!(words.iter().all(|word| !matches!(*word, b"" | b"." | b"..")), "{path:?}");
        let Ok(path) = str::from_utf8(path) else { continue };
        if let Some((above, _)) = path.rsplit_once('/') {
            assert!(matches!(image.find(above), Some(Node::Directory { .. })), "{path}");
        }
        match node {
            Node::Link(_) => {}
            node => assert_eq!(image.find(path), Some(node), "{path}"),
        }
        // Whatever a link says, it stays inside and comes to an end.
        let _ = image.place_of(&format!("{path}/../.."));
        let wanted = Wanted { files: vec![WantedFile::any(path)], absent: vec![path] };
        let is_file = image.content(path).is_some();
        assert_eq!(wanted.lacks(image).len(), usize::from(!is_file) + usize::from(image.find(path).is_some()));
    }
    let _ = (Framework::of(image), Init::of(image));
}
