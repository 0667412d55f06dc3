//! Faults of the grammar of LUKS2's JSON, and of its five sections.

use crate::base::Base;
use crate::case::{Case, Fault, judge};
use crate::fault::{set, without};
use crate::image::{BOTH, Copy, Image};
use crate::ledger::{LIMITS, LOOSE, TWICE};
use crate::verdict::Verdict::{Opens, Shows};
use serde_json::{Value, json};

/// Makes the JSON area of the text of the JSON.
fn area(of: impl Fn(String) -> Vec<u8> + 'static) -> Fault {
    Box::new(move |image| {
        let area = of(image.text(Copy::First));
        image.set_area(&BOTH, &area);
    })
}

#[test]
fn luks2_grammar() {
    judge(grammar());
}

pub fn grammar() -> Vec<Case> {
    const JSON: &str = "not JSON";
    let filled = |image: &Image, len: usize| {
        let mut text = image.text(Copy::First).into_bytes();
        text.pop();
        text.resize(len - 1, b' ');
        text.push(b'}');
        text
    };
    vec![
        Case::refused("luks2_json_empty", area(|_| Vec::new()), "does not begin with {"),
        Case::refused("luks2_json_an_array", area(|text| format!("[{text}]").into()), "does not begin with {"),
        Case::refused("luks2_json_behind_a_space", area(|text| format!(" {text}").into()), "does not begin with {"),
        Case::refused("luks2_json_cut_off", area(|text| text[..text.len() - 1].into()), JSON),
        Case::refused("luks2_json_with_garbage_behind", area(|text| format!("{text}x").into()), JSON),
        Case::refused("luks2_json_twice", area(|text| format!("{text}{text}").into()), JSON),
        Case::refused(
            "luks2_json_with_garbage_behind_the_nul",
            area(|text| format!("{text}\0x").into()),
            "behind the NUL",
        ),
        Case::refused(
            "luks2_json_with_garbage_at_the_end_of_the_area",
            |image| {
                let mut area = image.text(Copy::First).into_bytes();
                area.resize(image.area_len() - 1, 0);
                area.push(b'x');
                image.set_area(&BOTH, &area);
            },
            "behind the NUL",
        ),
        Case::refused(
            "luks2_json_without_a_nul",
            move |image| image.set_area(&BOTH, &filled(image, image.area_len())),
            "no NUL",
        ),
        Case::borne("luks2_json_with_one_nul", move |image| {
            image.set_area(&BOTH, &filled(image, image.area_len() - 1))
        }),
        Case::refused("luks2_json_not_utf8", |image| patched(image, "\"corpus\"", b"\"corp\xff\""), JSON)
            .but_theirs(Opens, LOOSE),
        Case::refused("luks2_json_of_half_a_surrogate", |image| image.replace("\"corpus\"", r#""\ud800""#), JSON)
            .but_theirs(Opens, LOOSE),
        Case::refused("luks2_json_with_a_comment", |image| image.replace("{\"config\"", "{/* */\"config\""), JSON)
            .but_theirs(Opens, LOOSE),
        Case::refused("luks2_json_with_single_quotes", |image| image.replace("\"corpus\"", "'corpus'"), JSON)
            .but_theirs(Opens, LOOSE),
        Case::refused("luks2_json_with_a_comma_too_many", |image| image.replace("\"corpus\",", "\"corpus\",,"), JSON),
        Case::refused("luks2_json_with_a_hanging_comma", |image| image.replace("[\"0\"]", "[\"0\",]"), JSON)
            .but_theirs(Opens, LOOSE),
        Case::refused("luks2_json_with_a_control_character", |image| image.replace("\"corpus\"", "\"cor\npus\""), JSON)
            .but_theirs(Opens, LOOSE),
        Case::borne("luks2_json_nested_15_deep", nested(15)),
        Case::refused("luks2_json_nested_31_deep", nested(31), "nested too deeply"),
        Case::refused("luks2_json_nested_5000_deep", nested(5000), "nested too deeply"),
        Case::refused(
            "luks2_json_with_a_leading_zero",
            |image| image.replace("\"iterations\":1000", "\"iterations\":01000"),
            JSON,
        )
        .but_theirs(Opens, LOOSE),
        Case::refused("luks2_json_with_nan", |image| image.replace("\"iterations\":1000", "\"iterations\":NaN"), JSON)
            .but_theirs(Shows, LOOSE),
        Case::refused(
            "luks2_json_with_a_number_of_1000_digits",
            |image| image.replace("\"corpus\"", &"9".repeat(1000)),
            "number out of range",
        )
        .but_theirs(Opens, LOOSE),
        Case::refused(
            "luks2_json_with_a_member_twice",
            |image| image.replace("\"config\":{", "\"config\":{},\"config\":{"),
            "stands twice",
        )
        .but_theirs(Opens, TWICE),
        Case::refused(
            "luks2_json_with_a_section_twice",
            |image| image.replace("\"tokens\":{", "\"tokens\":{},\"tokens\":{"),
            "stands twice",
        )
        .but_theirs(Opens, TWICE),
        Case::refused("luks2_json_with_a_slot_twice", slot_twice, "stands twice").but_theirs(Opens, TWICE),
        Case::refused("luks2_json_of_100000_values", many_values, "too many values")
            .on(Base::Large)
            .but_theirs(Opens, LIMITS),
        Case::refused("luks2_json_of_100000_tokens", many_tokens, "too many values")
            .on(Base::Large)
            .but_theirs(Shows, LIMITS),
        Case::borne("luks2_json_with_a_section_nobody_knows", set("/unknown", json!({"0": [1, 2.5, null, true]}))),
    ]
}

/// The text with bytes in it that are no text.
fn patched(image: &mut Image, from: &str, to: &[u8]) {
    let text = image.text(Copy::First);
    let at = text.find(from).unwrap();
    let area = [&text.as_bytes()[..at], to, &text.as_bytes()[at + from.len()..]].concat();
    image.set_area(&BOTH, &area);
}

/// A member of the token that is so many arrays deep.
fn nested(deep: usize) -> Fault {
    Box::new(move |image| {
        image.replace("\"corpus\"", &format!("\"corpus\",\"deep\":{}{}", "[".repeat(deep), "]".repeat(deep)))
    })
}

fn slot_twice(image: &mut Image) {
    let json: Value = serde_json::from_str(&image.text(Copy::First)).unwrap();
    let slot = json["keyslots"]["0"].to_string();
    image.replace("\"keyslots\":{\"0\":", &format!("\"keyslots\":{{\"0\":{slot},\"0\":"));
}

fn many_values(image: &mut Image) {
    image.edit(&BOTH, |json| json["unknown"] = vec![json!(1); 100_000].into());
}

/// Each as short as it can be.
fn many_tokens(image: &mut Image) {
    let token = |number: usize| format!("\"{number}\":{{\"type\":\"x\",\"keyslots\":[]}}");
    let tokens: Vec<String> = (0..100_000).map(token).collect();
    image.replace("\"tokens\":{", &format!("\"tokens\":{{{}", tokens.join(",")));
}

#[test]
fn luks2_sections() {
    judge(sections());
}

pub fn sections() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, section) in [
        ("luks2_keyslots", "/keyslots"),
        ("luks2_tokens", "/tokens"),
        ("luks2_segments", "/segments"),
        ("luks2_digests", "/digests"),
        ("luks2_config", "/config"),
    ] {
        let named = |fault: &str| String::leak(format!("{name}_{fault}")) as &'static str;
        cases.push(Case::refused(named("missing"), without(section), "is missing"));
        cases.push(Case::refused(named("an_array"), set(section, json!([])), "is not an object"));
        cases.push(Case::refused(named("null"), set(section, Value::Null), "is not an object"));
    }
    cases
}
