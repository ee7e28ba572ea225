#!/bin/sh
# Runs a command beside a zfs-fuse daemon with a fresh pool `fuse`, in namespaces of their own:
#
#   unshare --mount --pid --fork --kill-child --mount-proc --propagation slave sh enter.sh COMMAND...
#
# The pool lies in memory that only this mount namespace knows, and this shell is the first process of its
# process namespace. So the daemon, every process and every mount end with it, however it ends.
set -e
mount -t tmpfs -o mode=755,size=2g tmpfs /run
mkdir /run/lock /run/zfs /run/pool
mount -t tmpfs tmpfs /var/lib/zfs
ulimit -c 0
# As a daemon it goes into the background once it answers. A child of process 1 would take itself for one already.
(/sbin/zfs-fuse --no-kstat-mount --pidfile /run/zfs-fuse.pid </dev/null >/run/zfs-fuse.log 2>&1; exit $?) || {
  cat /run/zfs-fuse.log >&2
  exit 125
}
truncate -s 1G /run/disk
/sbin/zpool create -O mountpoint=none fuse /run/disk >/run/zpool.log 2>&1 || {
  cat /run/zpool.log >&2
  exit 125
}
PATH=$(dirname "$0")/bin:$PATH
"$@"
