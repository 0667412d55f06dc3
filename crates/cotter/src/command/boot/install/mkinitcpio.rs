//! `cotter` among the hooks of mkinitcpio.conf(5).

/// The file.
pub const PATH: &str = "/etc/mkinitcpio.conf";
/// What opens volumes in an image, and comes after us.
const OPENERS: [&str; 2] = ["encrypt", "sd-encrypt"];

/// The file with our name before the hook that opens volumes; nothing if it is there already.
///
/// # Errors
/// No line names such a hook, and why that matters.
pub fn with_hook(text: &str) -> Result<Option<String>, &'static str> {
    let is_hooks = |line: &str| line.trim_start().starts_with("HOOKS=");
    let Some(hooks) = text.split_inclusive('\n').rfind(|line| is_hooks(line)) else {
        return Err("no line of it begins with HOOKS=");
    };
    let is_word = |word: &str, name: &str| word.trim_matches(['(', ')', '"', '\'', '\n']) == name;
    if hooks.split([' ', '=', '\n']).any(|word| is_word(word, "cotter")) {
        return Ok(None);
    }
    let opener = OPENERS.iter().find_map(|name| {
        let found = hooks.match_indices(name).find(|(at, _)| {
            let (before, after) = (hooks.get(..*at), hooks.get(at + name.len()..));
            before.is_some_and(|text| text.ends_with([' ', '(', '"', '\'']))
                && after.is_some_and(|text| text.starts_with([' ', ')', '"', '\'']))
        });
        found.map(|(at, _)| at)
    });
    let at = opener.ok_or("its HOOKS name neither encrypt nor sd-encrypt: nothing opens volumes in its images")?;
    let (front, rest) = hooks.split_at(at);
    let begins = text.rfind(hooks).unwrap_or_default();
    let (before, after) =
        (text.get(..begins).unwrap_or_default(), text.get(begins + hooks.len()..).unwrap_or_default());
    Ok(Some(format!("{before}{front}cotter {rest}{after}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_hook_comes_before_what_opens_volumes() {
        let check = |text: &str, expected: &str| {
            let found = with_hook(text).unwrap().unwrap();
            assert_eq!(found, expected);
            assert_eq!(with_hook(&found), Ok(None), "it is so already");
        };
        check(
            "# HOOKS=(a)\nHOOKS=(base udev encrypt lvm2)\nX=1\n",
            "# HOOKS=(a)\nHOOKS=(base udev cotter encrypt lvm2)\nX=1\n",
        );
        check("HOOKS=(systemd sd-encrypt)", "HOOKS=(systemd cotter sd-encrypt)");
        check("HOOKS=\"base encrypt\"\n", "HOOKS=\"base cotter encrypt\"\n");
        check("HOOKS=(sd-encrypt2 encrypt)\n", "HOOKS=(sd-encrypt2 cotter encrypt)\n");
        assert!(with_hook("HOOKS=(base udev)\n").is_err() && with_hook("MODULES=()\n").is_err());
    }
}
