#!/bin/bash
# Process 1 of the guest: makes the machine ready, runs /job/run.sh, hands back its output, its files and its exit
# code, and ends the machine. Its own output goes to the console.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 TERM=dumb

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mkdir -p /dev/pts /dev/shm /job
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=1777,size=75% tmpfs /tmp
mkdir -p /run/lock
mount -t cgroup2 cgroup2 /sys/fs/cgroup
for controller in cpu memory pids; do echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control; done
ln -sfn /proc/self/fd /dev/fd
ln -sfn fd/0 /dev/stdin
ln -sfn fd/1 /dev/stdout
ln -sfn fd/2 /dev/stderr
hostname guest
ip link set lo up
modprobe -a virtio_console virtio_rng overlay loop zfs

# A virtio port or disk by the name that the host gave it.
port() { for dir in /sys/class/virtio-ports/*; do [ "$(cat "$dir/name")" = "$1" ] && echo "/dev/${dir##*/}"; done; }
disk() { for dir in /sys/block/vd*; do [ "$(cat "$dir/serial")" = "$1" ] && echo "/dev/${dir##*/}"; done; }

tar -C /job -xf "$(disk job)"
project=$(disk project)
if [ -n "$project" ]; then
  mkdir -p /snapstep
  mount -t ext4 -o noatime,nobarrier "$project" /snapstep
  [ -d /job/project ] && cp -a /job/project/. /snapstep/
  export PATH=/snapstep/.guest/bin:$PATH
fi

output=$(port output)
(cd /job && exec setsid --wait ./run.sh) </dev/null >"$output" 2>&1
code=$?

if [ -d /job/out ]; then tar -C /job/out -cf "$(disk out)" .; fi
echo "$code" >"$(port code)"
sync
echo b >/proc/sysrq-trigger
sleep 60
