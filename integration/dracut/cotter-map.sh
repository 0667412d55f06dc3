#!/bin/sh
# Each time that the devices have settled, before anybody is asked: maps the volumes whose bindings open.
/usr/bin/cotter boot map </dev/null || :
