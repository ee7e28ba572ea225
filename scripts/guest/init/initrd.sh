#!/bin/busybox sh
# The first program of the guest: finds the root disk and goes on there.
bb=/bin/busybox
$bb mkdir -p /proc /dev /root
$bb mount -t proc proc /proc
$bb mount -t devtmpfs dev /dev
while read -r module; do $bb insmod "/modules/$module"; done </modules/order
tries=0
until [ -b /dev/vda ] || [ "$tries" -ge 400 ]; do
  $bb usleep 25000
  tries=$((tries + 1))
done
$bb mount -t ext4 -o noatime,nobarrier /dev/vda /root
$bb mount --move /dev /root/dev
$bb umount /proc
exec $bb switch_root /root /sbin/guest-init
