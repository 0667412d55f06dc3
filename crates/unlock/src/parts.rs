//! The parts of a configuration that are of the pin `cotter-tpm2`, at any depth of a threshold.

use json::{Object, Value};

const OURS: &str = "cotter-tpm2";

/// The same without values: whoever makes the binding anew means what the PCRs hold by then.
pub(crate) fn without_sets(pin: &str, mut config: Value) -> Value {
    each_part(pin, &mut config, &mut |members| {
        ["pcr_digest", "accept"].into_iter().for_each(|name| drop(members.remove(name)))
    });
    config
}

/// Changes each part of the pin `cotter-tpm2`, and counts them.
pub(crate) fn each_part(pin: &str, config: &mut Value, change: &mut dyn FnMut(&mut Object)) -> usize {
    if let Value::Array(several) = config {
        return several.iter_mut().map(|one| each_part(pin, one, change)).sum();
    }
    let Some(members) = config.as_object_mut() else { return 0 };
    if pin == OURS {
        change(members);
        return 1;
    }
    let Some(pins) = members.get_mut("pins").and_then(Value::as_object_mut) else { return 0 };
    let names: Vec<String> = pins.iter().map(|(name, _)| name.to_owned()).collect();
    names.iter().filter_map(|name| Some(each_part(name, pins.get_mut(name)?, change))).sum()
}
