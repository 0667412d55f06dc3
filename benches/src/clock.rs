//! CPU and wall time: of a piece of our own code, of the children we have waited for, of a server that runs.

use rustix::time::{ClockId, clock_gettime};
use std::fs;
use std::time::Instant;

/// What one operation costs, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Cost {
    pub(crate) cpu: f64,
    pub(crate) wall: f64,
}

impl Cost {
    /// The cost of one of `count` operations that took this much together.
    pub(crate) fn shared(self, count: u64) -> Cost {
        let count = count.max(1) as f64;
        Cost { cpu: self.cpu / count, wall: self.wall / count }
    }
}

/// Runs `work` in this process, all of its threads counted.
pub(crate) fn of_own(work: impl FnOnce()) -> Cost {
    let (start, cpu) = (Instant::now(), own());
    work();
    Cost { cpu: own() - cpu, wall: start.elapsed().as_secs_f64() }
}

/// Runs `work` and counts what the children it started, and waited for, have used. The kernel adds them up exactly and
/// shows hundredths of a second, so `work` should start several.
pub(crate) fn of_children(work: impl FnOnce()) -> Cost {
    let (start, cpu) = (Instant::now(), fields("self").children);
    work();
    Cost { cpu: fields("self").children - cpu, wall: start.elapsed().as_secs_f64() }
}

/// CPU seconds of a running process so far, and of all children that it has waited for.
pub(crate) fn of_process(pid: u32) -> f64 {
    let fields = fields(&pid.to_string());
    fields.own + fields.children
}

fn own() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

struct Fields {
    own: f64,
    children: f64,
}

/// `utime`, `stime`, `cutime` and `cstime` of `/proc/PID/stat` (proc(5)): the 14th to 17th field. The second is a name in
/// parentheses that may hold spaces, so counting begins behind the last parenthesis.
fn fields(pid: &str) -> Fields {
    /// What Linux shows on every architecture (`USER_HZ`), whatever its own timer does.
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process is gone");
    let (_, behind_name) = stat.rsplit_once(')').expect("a process has a name");
    let ticks: Vec<f64> = behind_name.split_whitespace().skip(11).take(4).map(|word| word.parse().unwrap()).collect();
    let [user, system, children_user, children_system] = ticks.try_into().expect("proc(5) has 52 fields");
    Fields { own: (user + system) / TICKS_PER_SECOND, children: (children_user + children_system) / TICKS_PER_SECOND }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn spin(seconds: f64) {
        let start = Instant::now();
        while start.elapsed().as_secs_f64() < seconds {
            std::hint::spin_loop();
        }
    }

    #[test]
    fn own_and_children_are_told_apart() {
        let own = of_own(|| spin(0.1));
        assert!(own.cpu > 0.02 && own.wall >= 0.1, "{own:?}");
        let script = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        let children = of_children(|| assert!(Command::new("sh").args(["-c", script]).status().unwrap().success()));
        assert!(children.cpu > 0.01, "{children:?}");
        let idle = of_children(|| assert!(Command::new("sleep").arg("0.2").status().unwrap().success()));
        assert!(idle.wall >= 0.2 && idle.cpu < 0.1, "{idle:?}");
        assert!(of_process(std::process::id()) > 0.0);
    }
}
