#!/bin/sh
# The first process of a root that exists to be reached: says so and ends the machine.
echo "<3>@@ mark switch-root" >/dev/kmsg
exec /bin/busybox poweroff -f
